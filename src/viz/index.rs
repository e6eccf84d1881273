//! The page of `mode=all`: every picture, how to read it, and links to its files.

use super::draw::style::PHONE;
use super::draw::{Picture, escaped};

/// Colours and layout, for light and dark; no script, nothing from the network.
const STYLE: &str = include_str!("../../assets/index/style.css");

/// What the page shows of a picture.
#[derive(Debug)]
pub struct Entry {
    stem: String,
    title: String,
    reading: String,
    /// Names of its files
    files: Vec<String>,
}

impl Entry {
    /// Of a picture that may go once it is written.
    pub fn of(picture: &Picture) -> Self {
        Self {
            stem: picture.stem.clone(),
            title: picture.title.clone(),
            reading: picture.reading.clone(),
            files: picture.files.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// The page, as a picture whose only file is `index.html`.
pub fn page(entries: &[Entry], notes: &[String], subject: &str) -> Picture {
    let links: String = entries.iter().map(|e| format!("<a href=\"#{}\">{}</a> ", e.stem, escaped(&e.title))).collect();
    let sections: String = entries.iter().map(section).collect();
    let notes: String = notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>How this model thinks</title>\
         <style>{}</style></head>\n<body><main><header><h1>How this model thinks</h1><p class=\"soft\">{}</p>\n\
         <nav>{links}</nav></header>\n{sections}<section><h2>Notes</h2><ul class=\"soft\">{notes}</ul></section></main></body></html>\n",
        STYLE.replace('\n', ""),
        escaped(subject)
    );
    Picture::new("index", "All pictures", "").file("html", html.into_bytes())
}

/// One picture: its image (the animation where there is one comes below it) and links to every file. A picture that is a page of
/// its own, such as the report, is linked.
fn section(entry: &Entry) -> String {
    let with = |extension: &str| {
        entry.files.iter().find(|name| name.ends_with(extension) && !name.contains(&format!("_narrow{extension}")))
    };
    let narrow = entry.files.iter().find(|name| name.contains("_narrow."));
    let alt = escaped(&entry.reading);
    // A wide image would shrink to letters that nobody can read on a phone.
    let source = |name: &String| format!("<source media=\"(max-width:699px)\" srcset=\"{name}\">");
    let image = with(".svg").or(with(".png")).map(|name| {
        let source = narrow.map(source).unwrap_or_default();
        format!("<picture>{source}<img src=\"{name}\" alt=\"{alt}\"></picture>")
    });
    let animation = with(".gif")
        .map(|name| format!("<img class=\"small\" width=\"{PHONE}\" src=\"{name}\" alt=\"The same, moving\">"));
    let open = with(".html").map(|name| format!("<p><a class=\"open\" href=\"{name}\">Open the page</a></p>"));
    let shown: String = [image, animation, open].into_iter().flatten().collect();
    let files: String = entry.files.iter().map(|name| format!("<a href=\"{name}\">{name}</a> ")).collect();
    format!(
        "<section id=\"{}\"><h2>{}</h2><p>{alt}</p>{shown}<p class=\"files\">{files}</p></section>\n",
        entry.stem,
        escaped(&entry.title),
    )
}
