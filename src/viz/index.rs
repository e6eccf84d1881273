//! The page of `mode=all`: every picture, how to read it, and links to its files.

use super::draw::{Picture, escaped};

/// Colours and layout, for light and dark; no script, nothing from the network.
const STYLE: &str = include_str!("../../assets/index/style.css");

/// The page, as a picture whose only file is `index.html`.
pub fn page(pictures: &[Picture], notes: &[String], subject: &str) -> Picture {
    let links: String =
        pictures.iter().map(|p| format!("<a href=\"#{}\">{}</a> ", p.stem, escaped(&p.title))).collect();
    let sections: String = pictures.iter().map(section).collect();
    let notes: String = notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>How this model thinks</title>\
         <style>{}</style></head>\n<body><main><h1>How this model thinks</h1><p class=\"soft\">{}</p>\n\
         <nav>{links}</nav>\n{sections}<section><h2>Notes</h2><ul class=\"soft\">{notes}</ul></section></main></body></html>\n",
        STYLE.replace('\n', ""),
        escaped(subject)
    );
    Picture::new("index", "All pictures", "").file("html", html.into_bytes())
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
