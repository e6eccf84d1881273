//! Pictures: every mode writes its files, and refusals leave nothing.

use std::fs::{self, File};
use std::path::Path;

use resvg::tiny_skia::Pixmap;
use serde_json::Value;

use super::workdir::{Workdir, fixture, folders, names, shakespeare};

/// Each mode with the stems of its pictures.
const MODES: [(&str, &[&str]); 8] = [
    ("landscape", &["landscape", "landscape_surface"]),
    ("gap", &["gap"]),
    ("trajectories", &["trajectories"]),
    ("bowl", &["bowl"]),
    ("positions", &["positions"]),
    ("training", &["training"]),
    ("negatives", &["negatives"]),
    ("context", &["context"]),
];

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A picture of a page's width at twice its density, with lines, letters and colours on it.
fn assert_picture(folder: &Path, stem: &str) {
    let pixmap = Pixmap::decode_png(&fs::read(folder.join(format!("{stem}.png"))).unwrap()).unwrap();
    assert_eq!(pixmap.width(), 2 * 672, "{stem}");
    let mut colours: Vec<u32> =
        pixmap.pixels().iter().map(|p| u32::from_be_bytes([0, p.red(), p.green(), p.blue()])).collect();
    let drawn = colours.iter().filter(|&&colour| colour != 0x00ff_ffff).count();
    assert!(drawn * 50 > colours.len(), "{stem} is almost empty: {drawn} of {}", colours.len());
    colours.sort_unstable();
    colours.dedup();
    assert!(colours.len() > 40, "{stem} has {} colours", colours.len());
    let svg = fs::read_to_string(folder.join(format!("{stem}.svg"))).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("<title>") && svg.contains("<path"), "{stem}");
    assert!(!svg.contains("<text") && !svg.contains("font-family"), "{stem}: text is outlines");
}

/// A folder with a trained model, and the checkpoint as an override.
fn trained(overrides: &[&str]) -> (Workdir, String) {
    let workdir = Workdir::new();
    workdir.train(overrides).succeeds();
    let checkpoint = workdir.arg("checkpoint", "final.pt");
    (workdir, checkpoint)
}

#[test]
fn every_mode_writes_its_files() {
    let (workdir, checkpoint) =
        trained(&["model.contrastive_type=pcd", "model.n_persistent=5", "train.eval_interval=3"]);
    for (mode, stems) in MODES {
        let out = workdir.path(&format!("pictures_{mode}"));
        let args = [checkpoint.as_str(), &format!("mode={mode}"), &format!("out={}", out.display()), "think_steps=5"];
        workdir.viz(&args).succeeds().says_nothing_on_stderr();
        let mut expected: Vec<String> =
            stems.iter().flat_map(|stem| [format!("{stem}.png"), format!("{stem}.svg")]).collect();
        expected.extend([format!("{}.json", stems[0]), format!("{}.csv", stems[0])]);
        expected.extend((mode == "bowl").then(|| "bowl.gif".to_owned()));
        expected.sort();
        assert_eq!(names(&out), expected);
        stems.iter().for_each(|stem| assert_picture(&out, stem));
        assert!(json(&out.join(format!("{}.json", stems[0]))).is_object());
        let csv = fs::read_to_string(out.join(format!("{}.csv", stems[0]))).unwrap();
        assert!(csv.lines().count() > 1, "{csv}");
    }
    let bowl = File::open(workdir.path("pictures_bowl/bowl.gif")).unwrap();
    let mut frames = gif::DecodeOptions::new().read_info(bowl).unwrap();
    let count = std::iter::from_fn(|| frames.read_next_frame().unwrap().map(|_| ())).count();
    assert!(count > 5, "{count} frames");
}

#[test]
fn all_of_them_and_a_page() {
    let (workdir, _) = trained(&[]);
    workdir.viz(&["think_steps=1", "format=png"]).succeeds().says("files in out_viz");
    let folder = workdir.path("out_viz");
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    for name in names(&folder).iter().filter(|name| *name != "index.html") {
        assert!(page.contains(&format!("\"{name}\"")), "the page lacks {name}");
        assert!(!name.ends_with(".svg"));
    }
    assert!(!page.contains("http"), "nothing comes from the network");
    let same = workdir.path("again");
    workdir.viz(&["think_steps=1", "format=png", "out=again"]).succeeds();
    for name in names(&folder) {
        assert!(fs::read(folder.join(&name)).unwrap() == fs::read(same.join(&name)).unwrap(), "{name} differs");
    }
}

/// A picture is there as soon as it is said to be, whatever becomes of the next.
#[test]
fn each_is_written_when_it_is_drawn() {
    let (workdir, _) = trained(&[]);
    fs::create_dir_all(workdir.path("out_viz/gap.csv")).unwrap(); // a folder, where a file is to be
    let failed = workdir.viz(&["think_steps=1", "format=svg"]).fails(1).stderr_has("gap.csv");
    let said: Vec<&str> = failed.stdout.lines().filter(|line| line.contains(".svg")).collect();
    assert_eq!(said.len(), 3, "landscape, its surface and the bowl: {}", failed.stdout);
    let written = names(&workdir.path("out_viz"));
    for name in said.iter().flat_map(|line| line.split_once(": ").unwrap().1.split(", ")) {
        assert!(written.contains(&name.to_owned()), "{name} of {written:?}");
    }
    assert!(!written.iter().any(|name| name.starts_with("trajectories") || name == "index.html"), "{written:?}");
}

/// Pictures take a step that shows something and say so; the trained one and one that is named stay as they are.
#[test]
fn the_step_size_shows_a_path() {
    let (workdir, checkpoint) = trained(&["model.alpha_value=0.02", "model.energy_convergence_threshold=0"]);
    let falls = |more: &[&str]| {
        let done = workdir.viz(&[&[checkpoint.as_str(), "mode=landscape"], more].concat()).succeeds();
        let path = json(&workdir.path("out_viz/landscape.json"))["path"].as_array().unwrap().clone();
        let energy = |step: &Value| step["energy"].as_f64().unwrap();
        assert!(path.windows(2).all(|ends| energy(&ends[1]) <= energy(&ends[0])), "downhill at each step");
        (energy(&path[0]) - energy(&path[path.len() - 1]), done.stdout)
    };
    let (chosen, said) = falls(&[]);
    let alpha: f64 = said.split_once("use α = ").unwrap().1.split_once(" (").unwrap().0.parse().unwrap();
    assert!(said.contains(&format!("({} × the trained 0.02)", (alpha / 0.02).round())), "{said}");
    let (trained, said) = falls(&["trained_alpha=true"]);
    assert!(!said.contains("α") && trained < 0.1 * chosen, "{trained} {chosen} {said}");
    let (named, said) = falls(&[&format!("model.think_lr={alpha}")]);
    assert!(!said.contains("the trained") && (named - chosen).abs() < 1e-9 * chosen, "{named} {chosen} {said}");
    let (most, _) = falls(&["model.think_lr=1e6"]);
    assert!((0.85..0.99).contains(&(chosen / most)), "{chosen} of {most}");
}

#[test]
fn long_prompts_many_tokens_and_soft_ones() {
    let (workdir, _) = trained(&["model.use_soft_tokens=true"]);
    workdir.viz(&["prompt=@text.txt", "topk=500", "think_steps=3"]).succeeds().says("The model reads 16 characters");
    let tokens = json(&workdir.path("out_viz/trajectories.json"))["tokens"].as_array().unwrap().len();
    assert!((20..100).contains(&tokens), "{tokens}: the whole vocabulary");
    workdir.viz(&["prompt=ROMEO:é", "position=0", "mode=landscape"]).succeeds().says("dropped");
    assert_eq!(json(&workdir.path("out_viz/landscape.json"))["context"], "“R”");
}

#[test]
fn runs_are_compared() {
    let workdir = Workdir::new();
    workdir.train(&["out_dir=a"]).succeeds();
    workdir.train(&["out_dir=b"]).succeeds();
    let run = |dir: &str| folders(&workdir.path(dir)).remove(0).display().to_string();
    workdir.viz(&["mode=training", &format!("runs='{},{}'", run("a"), run("b")), "smooth=1"]).succeeds();
    assert_eq!(json(&workdir.path("out_viz/training.json"))["runs"].as_array().unwrap().len(), 2);
    workdir.refuses(workdir.viz(&["mode=training", "runs='a,nowhere'"]), 1, &["no metrics.jsonl in a"]);
}

/// The golden refinement with α = 500 on two windows is that of α = 250 on one: the original's J is a mean over positions.
#[test]
fn the_originals_trajectory_is_drawn() {
    let workdir = Workdir::new();
    let golden = super::golden::Golden::open("original");
    let corpus = nanoebm::data::Corpus::read(&shakespeare()).unwrap();
    let idx = Vec::<i64>::try_from(golden.tensor("idx").get(0)).unwrap();
    workdir.write("prompt.txt", idx.iter().map(|&id| corpus.vocab.char(id).unwrap()).collect::<String>());
    let checkpoint = format!("checkpoint={}", fixture("original/checkpoint.pt").display());
    let text = format!("data_path={}", shakespeare().display());
    let settings =
        ["prompt=@prompt.txt", "think_steps=4", "model.alpha_value=250", "model.energy_convergence_threshold=0"];
    for mode in ["mode=trajectories", "mode=positions"] {
        workdir.viz(&[&settings[..], &[&checkpoint, &text, mode]].concat()).succeeds();
    }
    let theirs = golden.tensor("refine.hard_a500"); // (5, 2, 32, 65)
    let drawn = json(&workdir.path("out_viz/trajectories.json"));
    for token in drawn["tokens"].as_array().unwrap() {
        for (k, logit) in token["logits"].as_array().unwrap().iter().enumerate() {
            let expected = theirs.double_value(&[k as i64, 0, 31, token["id"].as_i64().unwrap()]);
            assert!((logit.as_f64().unwrap() - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{token}");
        }
    }
    let drawn = json(&workdir.path("out_viz/positions.json"));
    let energies = golden.tensor("energies").get(0).to_kind(tch::Kind::Double); // (32, 65)
    for k in 0..5 {
        let p = theirs.get(k).get(0).to_kind(tch::Kind::Double).softmax(-1, None);
        let expected = (p * &energies).sum_dim_intlist([-1i64].as_slice(), false, None::<tch::Kind>); // (32)
        for t in 0..32 {
            let (ours, theirs) =
                (drawn["energy"][k as usize][t as usize].as_f64().unwrap(), expected.double_value(&[t]));
            assert!((ours - theirs).abs() <= 1e-5 * theirs.abs().max(1.0), "step {k} position {t}: {ours} {theirs}");
        }
    }
}

#[test]
fn refusals_are_clear_and_leave_nothing() {
    let (workdir, checkpoint) = trained(&[]);
    let refuses = |args: &[&str], code: i32, parts: &[&str]| workdir.refuses(workdir.viz(args), code, parts);
    refuses(&["mode=hills"], 2, &["mode", "hills", "landscape"]);
    refuses(&["out_dir=nowhere"], 1, &["no checkpoint under nowhere"]);
    refuses(&["checkpoint=no.pt"], 1, &["no.pt"]);
    refuses(&[&checkpoint, "prompt="], 1, &["the prompt is empty"]);
    refuses(&[&checkpoint, "prompt=é"], 1, &["no character that the model knows"]);
    refuses(&[&checkpoint, "position=6", "prompt=ROMEO:"], 1, &["position=6", "0 to 5"]);
    refuses(&[&checkpoint, "out=text.txt/x"], 1, &["text.txt"]);
    refuses(&[&checkpoint, "think_steps=0"], 2, &["think_steps"]);
    refuses(&[&checkpoint, "mode=gap", "data_path=no.txt"], 1, &["no.txt"]);
    refuses(&[&checkpoint, "prompt=@no.txt"], 1, &["no.txt"]);
}

#[test]
fn the_report_is_one_page() {
    let (workdir, checkpoint) = trained(&[]);
    let args = [checkpoint.as_str(), "mode=report", "max_new_tokens=20", "think_steps=3", "prompt=Before we"];
    workdir.viz(&args).succeeds().says_nothing_on_stderr();
    let folder = workdir.path("out_viz");
    assert_eq!(names(&folder), ["report.html", "report.json"]);
    let report = json(&folder.join("report.json"));
    assert_eq!(report["text"].as_array().unwrap().len(), 29);
    assert!(fs::read_to_string(folder.join("report.html")).unwrap().starts_with("<!doctype html>"));
}
