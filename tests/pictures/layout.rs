//! No text leaves a picture or meets other text: every mode of several models, as wide as a page and as wide as a phone.

use std::path::{Path, PathBuf};

use nanoebm::config::{PictureFormat, VizConfig, VizMode};
use nanoebm::eval::compare::Comparison;
use nanoebm::eval::table::Measured;
use nanoebm::metrics::Row;
use nanoebm::viz::compared;
use nanoebm::viz::draw::Picture;
use nanoebm::viz::gallery::{ALL, gallery};
use serde_json::json;
use tempfile::TempDir;

use super::generator::alone;

/// Those of the page, and the one that is not on it.
fn modes() -> impl Iterator<Item = VizMode> {
    ALL.into_iter().chain([VizMode::Context])
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A model of PyTorch's with a prompt that it knows.
fn original() -> VizConfig {
    let mut config =
        VizConfig { grid: Some(9), max_windows: 2, max_new_tokens: 8, think_steps: 5, ..VizConfig::default() };
    config.from.checkpoint = Some(fixture("original/checkpoint.pt"));
    config.data_path = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("shakespeare.txt"));
    config.format = PictureFormat::Svg;
    config.compute.device = "cpu".to_owned();
    config
}

/// Rows as a training logs them, in runs with long names.
fn runs(dir: &TempDir, rows: i64, names: &[&str]) -> String {
    let paths = names.iter().map(|name| {
        let run = dir.path().join(name);
        std::fs::create_dir_all(&run).unwrap();
        let row = |step: i64| {
            let fall = 1.0 / (step + 1) as f64;
            json!({"step": step * 10, "nll_s1": 2.0 + fall, "nll_s2": 1.9 + fall, "val/nll_s2": 2.1 + fall, "energy_data": -5.0 * fall,
                   "energy_negatives": -4.0, "initial_energy": -4.5, "energy_random": 1.0, "energy_gap": 0.0123, "lr": 1e-3 * fall})
        };
        let rows: String = (0..rows).map(|step| row(step).to_string() + "\n").collect();
        std::fs::write(run.join("metrics.jsonl"), rows).unwrap();
        run.display().to_string()
    });
    paths.collect::<Vec<_>>().join(",")
}

/// The pictures of a mode.
fn pictures(config: &VizConfig, mode: VizMode) -> Vec<(String, Vec<String>, bool)> {
    let mut drawn = Vec::new();
    let done = |picture: &Picture| {
        drawn.push((picture.stem.clone(), picture.clashes(), picture.narrow.is_some()));
        Ok(())
    };
    gallery(&VizConfig { mode, ..config.clone() }, |_| (), done).unwrap();
    drawn
}

/// Every picture of a configuration has its place for each text.
fn lie_well(config: &VizConfig, what: &str) {
    let mut stems = Vec::new();
    for mode in modes() {
        for (stem, clashes, has_narrow) in pictures(config, mode) {
            assert_eq!(clashes, [""; 0], "{what}: {stem}");
            assert_eq!(!has_narrow, stem == "report", "{stem}: for a phone too");
            stems.push(stem);
        }
    }
    assert_eq!(stems.len(), 10, "{stems:?}");
}

#[test]
fn texts_keep_apart_in_every_picture() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let config = VizConfig { runs: Some(runs(&dir, 200, &["run"])), ..original() };
    lie_well(&config, "as it comes");
    lie_well(&VizConfig { trained_alpha: true, ..config.clone() }, "with the trained step size");
    lie_well(&VizConfig { think_steps: 1, prompt: "R".to_owned(), ..config }, "one step, one character");
}

#[test]
fn texts_keep_apart_where_names_and_numbers_are_long() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let long = "a_run_with_a_name_that_is_longer_than_any_panel_of_the_picture_is_wide_and_then_some_more";
    let names = [long, "b", "c_of_medium_length", &format!("{long}_too")];
    let prompt = "Now is the winter of our discontent\nMade glorious summer by this sun of York;".to_owned();
    let config = VizConfig { runs: Some(runs(&dir, 12_000, &names)), prompt, topk: 40, think_steps: 120, ..original() };
    lie_well(&config, "long");
    let mut far = config;
    far.model.insert("alpha_value".to_owned(), 5e6.into());
    lie_well(&VizConfig { extent: Some(2e6), think_steps: 3, ..far }, "far");
}

#[test]
fn the_page_shows_each_picture_as_wide_as_its_reader() {
    let _alone = alone();
    let mut files = Vec::new();
    let mut page = String::new();
    let config = VizConfig { runs: None, mode: VizMode::All, ..original() };
    let mut heard = Vec::new();
    gallery(
        &config,
        |_| (),
        |picture| {
            heard.push(picture.stem.clone());
            files.extend(picture.files.iter().map(|(name, _)| name.clone()));
            if picture.stem == "index" {
                page = String::from_utf8(picture.files[0].1.clone()).unwrap();
            }
            Ok(())
        },
    )
    .unwrap();
    assert_eq!((heard[0].as_str(), heard[heard.len() - 1].as_str()), ("landscape", "index"), "each when it is done");
    let shown = |name: &str| page.contains(&format!("srcset=\"{name}_narrow.svg\"><img src=\"{name}.svg\""));
    for stem in heard.iter().filter(|stem| !["index", "report"].contains(&stem.as_str())) {
        assert!(shown(stem) && files.contains(&format!("{stem}_narrow.svg")), "{stem}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("href=\"report.html\""));
}

#[test]
fn texts_keep_apart_in_comparisons() {
    let model = |name: &str, file: &str, settings: &str, by: f64| -> Row {
        let row = json!({"name": name, "checkpoint": file, "refine_steps": 4, "settings": settings, "nll_minus_a": by,
            "nll_minus_a_low": by - 0.01, "nll_minus_a_high": by + 0.1, "ece_minus_a": 1e-6 * by});
        serde_json::from_value(row).unwrap()
    };
    let long = "model.use_soft_tokens=true model.energy_convergence_threshold=0.0001 model.alpha_value=0.002";
    let pair = vec![model("a", "out_hard/run_1/final.pt", "", 0.0), model("b", "out_soft/run_2/final.pt", "", -0.17)];
    let many =
        "abcdef".chars().enumerate().map(|(i, c)| model(&c.to_string(), "a.pt", long, i as f64 * 1234.5)).collect();
    for rows in [pair, many] {
        let comparison = Comparison { windows: 12, block_size: 32, measured: Measured::new(rows) };
        assert_eq!(compared::picture(&comparison, PictureFormat::Svg).unwrap().clashes(), [""; 0]);
    }
}

/// Each ink of the pictures' words, frames and paper is another one in the dark.
#[test]
fn dark_readers_get_dark_paper() {
    let _alone = alone();
    let mut svg = String::new();
    let keep = |picture: &Picture| {
        let image = picture.files.iter().find(|(name, _)| name == "gap.svg").unwrap();
        svg = String::from_utf8(image.1.clone()).unwrap();
        Ok(())
    };
    gallery(&VizConfig { mode: VizMode::Gap, ..original() }, |_| (), keep).unwrap();
    let (_, style) = svg.split_once("<style>").unwrap();
    let (style, drawing) = style.split_once("</style>").unwrap();
    for ink in ["fill=\"#ffffff\"", "fill=\"#1a1a1a\"", "fill=\"#4d4d4d\"", "stroke=\"#b8b8b8\"", "stroke=\"#e6e6e6\""]
    {
        assert!(drawing.contains(ink), "{ink}");
        assert!(style.contains(&ink.replace('"', "'")), "{ink}");
    }
}
