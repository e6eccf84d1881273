//! The page of `mode=all`: every picture, how to read it, and links to its files.

use super::draw::{Picture, escaped};

/// Colours and layout, for light and dark; no script, nothing from the network.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1a1a1a;--soft:#5a5a5a;--line:#dcdcd8;--link:#00598c}\
@media(prefers-color-scheme:dark){:root{--ground:#151617;--card:#1e2022;--ink:#ececea;--soft:#a8a8a4;--line:#34373a;--link:#79c0f0}}\
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}\
main{max-width:760px;margin:0 auto;padding:32px 16px 64px}h1{font-size:1.6rem;line-height:1.2;margin:0 0 8px}\
h2{font-size:1.15rem;margin:0 0 4px}p{margin:0 0 12px}.soft{color:var(--soft);overflow-wrap:anywhere}\
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin:24px 0}\
img{display:block;width:100%;height:auto;background:#fff;border-radius:6px;margin:12px 0}\
a{color:var(--link)}nav a,.files a{margin-right:14px;white-space:nowrap}";

/// The page, as a picture whose only file is `index.html`.
pub fn page(pictures: &[Picture], notes: &[String], subject: &str) -> Picture {
    let links: String =
        pictures.iter().map(|p| format!("<a href=\"#{}\">{}</a> ", p.stem, escaped(&p.title))).collect();
    let sections: String = pictures.iter().map(section).collect();
    let notes: String = notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>How this model thinks</title>\
         <style>{STYLE}</style></head>\n<body><main><h1>How this model thinks</h1><p class=\"soft\">{}</p>\n\
         <nav>{links}</nav>\n{sections}<section><h2>Notes</h2><ul class=\"soft\">{notes}</ul></section></main></body></html>\n",
        escaped(subject)
    );
    let mut page = Picture::new("index", "All pictures", "");
    page.files.push(("index.html".to_owned(), html.into_bytes()));
    page
}

/// One picture: its image (the animation where there is one comes below it) and links to every file. A picture that is a page of
/// its own, such as the report, is linked.
fn section(picture: &Picture) -> String {
    let with = |extension: &str| picture.files.iter().map(|(name, _)| name).find(|name| name.ends_with(extension));
    let image = |name: &String| format!("<img src=\"{name}\" alt=\"{}\">", escaped(&picture.reading));
    let images: String = [with(".svg").or(with(".png")), with(".gif")].into_iter().flatten().map(image).collect();
    let files: String = picture.files.iter().map(|(name, _)| format!("<a href=\"{name}\">{name}</a> ")).collect();
    format!(
        "<section id=\"{}\"><h2>{}</h2><p>{}</p>{images}<p class=\"files\">{files}</p></section>\n",
        picture.stem,
        escaped(&picture.title),
        escaped(&picture.reading)
    )
}
