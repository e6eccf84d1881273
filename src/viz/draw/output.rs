//! Files of a picture: PNG, SVG, GIF, and the numbers as JSON and CSV.

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use super::figure::Figure;
use super::sheet::Sheet;
use super::style::{PAGE, PHONE};
use super::words::DrawError;
use crate::config::PictureFormat;
use crate::error::Error;
use crate::eval::table;
use crate::fs::{make_folder, write_atomically};

/// One picture with its numbers, drawn and not yet written.
#[derive(Debug)]
pub struct Picture {
    /// The files' name without extension
    pub stem: String,
    /// What it shows
    pub title: String,
    /// How to read it, in a sentence
    pub reading: String,
    /// Name and content of each file
    pub files: Vec<(String, Vec<u8>)>,
    /// The same image for a narrow page, such as a phone's, not yet in its format
    pub narrow: Option<(PictureFormat, Figure)>,
    /// What was drawn for its files
    pub drawings: Vec<Figure>,
}

impl Picture {
    /// A picture without files.
    pub fn new(stem: &str, title: &str, reading: &str) -> Self {
        let [stem, title, reading] = [stem, title, reading].map(str::to_owned);
        Self { stem, title, reading, files: Vec::new(), narrow: None, drawings: Vec::new() }
    }

    /// Adds a file.
    pub fn file(mut self, extension: &str, bytes: Vec<u8>) -> Self {
        self.files.push((format!("{}.{extension}", self.stem), bytes));
        self
    }

    /// Draws a figure under the picture's title and adds it in the formats asked for: as wide as a page, and once more as wide as a
    /// phone.
    pub fn draw(
        self,
        format: PictureFormat,
        summary: &str,
        paint: impl Fn(&mut Sheet) -> Result<(), DrawError>,
    ) -> Result<Self, Error> {
        let title = self.title.clone();
        self.draw_titled(format, (&title, summary), paint)
    }

    /// The same under another title.
    pub fn draw_titled(
        mut self,
        format: PictureFormat,
        words: (&str, &str),
        paint: impl Fn(&mut Sheet) -> Result<(), DrawError>,
    ) -> Result<Self, Error> {
        let [page, phone] = [PAGE, PHONE].map(|width| Figure::draw(width, words, &paint));
        let (page, phone) = (page?, phone?);
        if format != PictureFormat::Svg {
            self = self.file("png", page.png()?);
        }
        if format != PictureFormat::Png {
            let svg = page.svg(&self.title, &self.reading);
            self = self.file("svg", svg.into_bytes());
        }
        self.narrow = Some((format, phone));
        self.drawings.push(page);
        Ok(self)
    }

    /// The same with the image for narrow pages among its files.
    pub fn with_narrow(mut self) -> Result<Self, Error> {
        if let Some((format, phone)) = &self.narrow {
            let (extension, bytes) = match format {
                PictureFormat::Png => ("png", phone.png()?),
                PictureFormat::Svg | PictureFormat::Both => ("svg", phone.svg(&self.title, &self.reading).into_bytes()),
            };
            self.files.push((format!("{}_narrow.{extension}", self.stem), bytes));
        }
        Ok(self)
    }

    /// Where text leaves a drawing or meets other text; tests want none.
    pub fn clashes(&self) -> Vec<String> {
        self.drawings.iter().chain(self.narrow.iter().map(|(_, phone)| phone)).flat_map(Figure::clashes).collect()
    }

    /// Adds the numbers: `values` as JSON and `table` as CSV.
    pub fn numbers(self, values: &impl Serialize, table: Table) -> Result<Self, Error> {
        let json = serde_json::to_string(values).map_err(|e| Error::Picture(e.to_string()))? + "\n";
        Ok(self.file("json", json.into_bytes()).file("csv", table::records(&table.0)?.into_bytes()))
    }
}

/// A CSV file: its records, the header first.
#[derive(Debug)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with a header and no rows.
    pub fn new(header: &[&str]) -> Self {
        Self(vec![header.iter().map(|name| (*name).to_owned()).collect()])
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[&dyn Display]) {
        self.0.push(cells.iter().map(ToString::to_string).collect());
    }
}

/// Writes the files of a picture into `folder`, each whole or not at all, and says which.
pub fn write(folder: &Path, picture: &Picture) -> Result<String, Error> {
    make_folder(folder)?;
    for (name, bytes) in &picture.files {
        write_atomically(&folder.join(name), bytes)?;
    }
    let names: Vec<&str> = picture.files.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!("{}: {}", picture.title, names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut table = Table::new(&["token", "p"]);
        table.row(&[&",", &0.5]);
        table.row(&[&"\"", &0.25]);
        assert_eq!(table::records(&table.0).unwrap(), "token,p\n\",\",0.5\n\"\"\"\",0.25\n");
    }
}
