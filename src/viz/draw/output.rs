//! Files of a picture: PNG, SVG, GIF, and the numbers as JSON and CSV, all written or none.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::figure::{Area, DrawError, Figure};
use super::style::PAGE;
use crate::config::PictureFormat;
use crate::error::Error;
use crate::eval::table;
use crate::fs::{FileError, write_atomically};

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
}

impl Picture {
    /// A picture without files.
    pub fn new(stem: &str, title: &str, reading: &str) -> Self {
        Self { stem: stem.to_owned(), title: title.to_owned(), reading: reading.to_owned(), files: Vec::new() }
    }

    /// Adds a file.
    pub fn file(mut self, extension: &str, bytes: Vec<u8>) -> Self {
        self.files.push((format!("{}.{extension}", self.stem), bytes));
        self
    }

    /// Draws a figure as wide as a page, under the picture's title, and adds it.
    pub fn draw(
        self,
        format: PictureFormat,
        (height, summary): (u32, &str),
        paint: impl FnOnce(&Area) -> Result<(), DrawError>,
    ) -> Result<Self, Error> {
        let figure = Figure::draw((PAGE, height), (&self.title, summary), paint)?;
        self.figure(&figure, format)
    }

    /// Adds a figure in the formats asked for.
    pub fn figure(mut self, figure: &Figure, format: PictureFormat) -> Result<Self, Error> {
        if format != PictureFormat::Svg {
            self = self.file("png", figure.png()?);
        }
        if format != PictureFormat::Png {
            let svg = figure.svg(&self.title, &self.reading);
            self = self.file("svg", svg.into_bytes());
        }
        Ok(self)
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

/// An error where files cannot go into `folder`, which need not exist yet: asked before the work, and without touching the disk.
/// What only writing shows (another user's folder, a full disk) is found later.
pub fn check_folder(folder: &Path) -> Result<(), Error> {
    let absolute = std::path::absolute(folder).map_err(FileError::at(folder))?;
    let existing = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute);
    let metadata = std::fs::metadata(existing).map_err(FileError::at(existing))?;
    let refusal = match (metadata.is_dir(), metadata.permissions().readonly()) {
        (false, _) => std::io::ErrorKind::NotADirectory,
        (true, true) => std::io::ErrorKind::PermissionDenied,
        (true, false) => return Ok(()),
    };
    Err(FileError { path: folder.to_owned(), source: refusal.into() }.into())
}

/// Writes the files of all pictures into `folder`; their paths.
pub fn write(folder: &Path, pictures: &[Picture]) -> Result<Vec<PathBuf>, Error> {
    std::fs::create_dir_all(folder).map_err(FileError::at(folder))?;
    let mut paths = Vec::new();
    for (name, bytes) in pictures.iter().flat_map(|picture| &picture.files) {
        let path = folder.join(name);
        write_atomically(&path, bytes)?;
        paths.push(path);
    }
    Ok(paths)
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
