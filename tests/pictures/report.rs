//! The report's page: its numbers are the library's and PyTorch's, its text is `sample`'s, and no text can break it.

use nanoebm::config::Config;
use nanoebm::data::Vocab;
use nanoebm::ebm::Ebm;
use nanoebm::energy;
use nanoebm::sample::{Chooser, Generation};
use nanoebm::viz::report::{Report, Request, html, trace};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::generator::alone;
use super::golden::{Golden, Ladder};

/// Scores `prompt` only; a test changes what it is about.
fn request(prompt: &[i64]) -> Request<'_> {
    Request {
        checkpoint: "final.pt".to_owned(),
        prompt,
        max_new_tokens: 0,
        think_steps: Some(4),
        step_size: "α = 1".to_owned(),
        chooser: Chooser { temperature: 1.0, top_k: None, top_p: None, sample: true },
        seed: 1,
        compute: Kind::Float,
        candidates: 8,
    }
}

/// A vocabulary of as many characters as the model has.
fn any_vocab(ebm: &Ebm) -> Vocab {
    Vocab::new((0..ebm.config.vocab_size as u32).filter_map(|i| char::from_u32(0x20 + i)))
}

fn report(ebm: &Ebm, request: &Request) -> Report {
    trace(ebm, &any_vocab(ebm), request).unwrap()
}

/// The data that a browser finds in the page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn ids(tensor: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(tensor.reshape([-1])).unwrap()
}

fn numbers(value: &Value) -> Tensor {
    let flat = match value {
        Value::Array(rows) if rows[0].is_array() => rows.iter().flat_map(|row| row.as_array().unwrap()).collect(),
        Value::Array(row) => row.iter().collect::<Vec<_>>(),
        other => panic!("{other} is not an array"),
    };
    Tensor::from_slice(&flat.into_iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>())
}

/// A character of the page against its logits on the way (S, V) and its energies (V).
fn compare(ladder: &mut Ladder, what: &str, character: &Value, trajectory: &Tensor, energies: &Tensor) {
    let (thinking, id) = (&character["thinking"], character["id"].as_i64().unwrap());
    let (x, e) = (trajectory.to_kind(Kind::Double), energies.to_kind(Kind::Double));
    let candidates = numbers(&thinking["ids"]).to_kind(Kind::Int64); // (C)
    let log_p = x.log_softmax(-1, None); // (S, V)
    let centred = &x - x.mean_dim([-1i64].as_slice(), true, None::<Kind>);
    let mut close = |field: &str, theirs: Tensor| {
        ladder.close(&format!("{what} {field}"), &numbers(&thinking[field]), &theirs.reshape([-1]), 2e-5);
    };
    close("energies", e.index_select(0, &candidates));
    close("p", log_p.index_select(1, &candidates).exp());
    close("logits", centred.index_select(1, &candidates));
    close("energy", energy::expected_energy(&x.unsqueeze(0), &e.reshape([1, 1, -1])));
    close("entropy", energy::entropy(&x.unsqueeze(0)));
    close("surprise", -log_p.select(1, id));
    // the likeliest after thinking come first, then, where it is not one of them, the character itself
    let order = ids(&x.select(0, -1).argsort(-1, true));
    let shown = ids(&candidates);
    assert_eq!(shown[..8], order[..8], "{what}");
    assert!(shown.contains(&id) && shown.len() <= 9, "{what}: {shown:?}");
    let last = thinking["ranks"].as_array().unwrap().last().unwrap();
    let ranks: Vec<i64> = shown.iter().map(|id| 1 + order.iter().position(|o| o == id).unwrap() as i64).collect();
    assert_eq!(last, &json!(ranks), "{what}");
}

/// Where each position descends its own energy, a golden trajectory of two whole windows holds every character's.
#[test]
fn every_character_of_a_window_is_pytorchs() {
    let _alone = alone();
    let golden = Golden::open("other_shape");
    let (idx, energies) = (golden.tensor("idx"), golden.tensor("energies"));
    let mut ladder = Ladder::default();
    for (case, fields) in golden.cases("refine.hard_sum") {
        let mut over = fields["over"].as_object().cloned().unwrap();
        over.insert("energy_convergence_threshold".into(), fields["threshold"].clone());
        over.insert("alpha_value".into(), fields["alpha"].clone());
        let ebm = golden.model(&Value::Object(over));
        let theirs = golden.tensor(&case); // (S, B, T, V)
        for row in 0..idx.size()[0] {
            let prompt = ids(&idx.get(row));
            let report = report(&ebm, &Request { think_steps: fields["steps"].as_i64(), ..request(&prompt) });
            let page = data(&html(&report).unwrap());
            assert!(page["text"][0]["thinking"].is_null() && page["written"].is_null());
            for t in 0..prompt.len() as i64 - 1 {
                let at = theirs.select(1, row).select(1, t); // (S, V)
                let what = format!("{case} row {row} position {t}");
                compare(&mut ladder, &what, &page["text"][t as usize + 1], &at, &energies.get(row).get(t));
            }
        }
    }
    ladder.finish();
}

/// The original's own trajectories share J's mean over the B·T positions: the last character of a full window has the same with α / B.
#[test]
fn the_last_character_of_a_window_is_the_originals() {
    let _alone = alone();
    let golden = Golden::open("original");
    let (idx, targets) = golden.batch();
    let (rows, last) = (idx.size()[0], idx.size()[1] - 1);
    let mut ladder = Ladder::default();
    for case in ["refine.hard_a500", "refine.soft_a500"] {
        let fields = &golden.json["cases"][case];
        let alpha = fields["alpha"].as_f64().unwrap() / rows as f64;
        let ebm = golden.model(
            &json!({"use_soft_tokens": fields["soft"], "energy_convergence_threshold": 0.0, "alpha_value": alpha}),
        );
        for row in 0..rows {
            let mut prompt = ids(&idx.get(row));
            prompt.push(targets.get(row).int64_value(&[last]));
            let report = report(&ebm, &Request { think_steps: fields["steps"].as_i64(), ..request(&prompt) });
            let page = data(&html(&report).unwrap());
            let theirs = golden.tensor(case).select(1, row).select(1, last); // (S, V)
            let energies = golden.tensor("energies").get(row).get(last);
            compare(&mut ladder, &format!("{case} row {row}"), &page["text"][prompt.len() - 1], &theirs, &energies);
        }
    }
    ladder.finish();
}

#[test]
fn the_text_is_the_one_that_sample_writes() {
    let _alone = alone();
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({}));
    let prompt = [30, 27, 25];
    for (think_steps, sample) in [(Some(4), true), (None, true), (Some(2), false)] {
        let chooser = Chooser { temperature: 0.9, top_k: Some(20), top_p: Some(0.95), sample };
        tch::manual_seed(7);
        let mut generation = Generation::new(&ebm, &prompt, 1, think_steps, chooser.clone(), Kind::Float);
        let written: Vec<i64> = (0..60).flat_map(|_| generation.next_tokens()).collect(); // past the block of 32
        let report = report(&ebm, &Request { max_new_tokens: 60, think_steps, chooser, seed: 7, ..request(&prompt) });
        let (theirs, given): (Vec<_>, Vec<_>) = report.text.iter().partition(|c| c.written);
        assert_eq!(theirs.iter().map(|c| c.id).collect::<Vec<_>>(), written);
        assert_eq!(given.iter().map(|c| c.id).collect::<Vec<_>>(), prompt);
        assert_eq!((report.given.unwrap().characters, report.written.unwrap().characters), (2, 60));
    }
}

#[test]
fn totals_are_means_and_an_early_stop_shows() {
    let _alone = alone();
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({"energy_convergence_threshold": 1e9}));
    let prompt = [30, 27, 25, 17, 27, 10];
    let scored = report(&ebm, &Request { think_steps: Some(8), ..request(&prompt) });
    let thinking: Vec<_> = scored.text.iter().filter_map(|c| c.thinking.as_ref()).collect();
    assert!(thinking.iter().all(|t| t.p.len() == 4 && t.energy.len() == 4), "three of eight steps");
    let mean = |of: &dyn Fn(usize) -> f64| (0..5).map(of).sum::<f64>() / 5.0;
    let totals = scored.given.unwrap();
    assert!((totals.surprise_s1 - mean(&|i| thinking[i].surprise[0])).abs() < 2e-5);
    assert!((totals.surprise_s2 - mean(&|i| thinking[i].surprise[3])).abs() < 2e-5);
    assert!((totals.energy_gap - mean(&|i| thinking[i].energy[0] - thinking[i].energy[3])).abs() < 2e-5);
    let fast = report(&ebm, &Request { think_steps: None, ..request(&prompt) }).given.unwrap();
    assert_eq!((fast.surprise_s1, fast.surprise_s2, fast.energy_gap), (totals.surprise_s1, totals.surprise_s1, 0.0));
}

/// Characters that end elements, open comments, turn lines around or cannot be seen stay data.
#[test]
fn no_text_breaks_the_page() {
    let _alone = alone();
    let evil = "</script><!--<script>]]>&amp;&#60;\"'\\`${x}{{data}}{{style}}{{script}}\u{2028}\u{202e}\0\t\r\n\u{301}é😀\u{feff}";
    let vocab = Vocab::new(evil.chars());
    let mut model = Config::default().model;
    (model.vocab_size, model.n_layer, model.n_head, model.n_embd) = (vocab.len() as i64, 1, 1, 8);
    (model.block_size, model.dropout) = (16, 0.0);
    tch::manual_seed(1);
    let ebm = Ebm::new(&model, Device::Cpu);
    let (prompt, dropped) = vocab.encode(evil);
    assert_eq!(dropped, "");
    let request = Request { checkpoint: evil.to_owned(), max_new_tokens: 5, ..request(&prompt) };
    let report = trace(&ebm, &vocab, &request).unwrap();
    let page = html(&report).unwrap();
    let count = |what: &str| page.matches(what).count();
    assert_eq!((count("<script"), count("</script"), count("<!--"), count("<style>")), (2, 2, 0, 1));
    let page = data(&page);
    assert_eq!(page, serde_json::to_value(&report).unwrap());
    let chars = page["text"].as_array().unwrap().iter().filter(|c| c["written"] == false);
    let text: String = chars.map(|c| page["vocab"][c["id"].as_u64().unwrap() as usize].as_str().unwrap()).collect();
    assert_eq!((text.as_str(), page["checkpoint"].as_str().unwrap()), (evil, evil));
}

#[test]
fn one_small_file_that_needs_no_network() {
    let _alone = alone();
    let golden = Golden::open("original");
    let ebm = golden.model(&json!({"energy_convergence_threshold": 0.0, "refine_reduction": "sum"}));
    let page = html(&report(&ebm, &Request { max_new_tokens: 299, ..request(&[30]) })).unwrap();
    assert_eq!(data(&page)["text"].as_array().unwrap().len(), 300);
    println!("{} bytes for 300 characters, 5 predictions and 8 candidates each", page.len());
    assert!(page.len() < 500_000, "{} bytes", page.len());
    for reference in ["http://", "https://", "src=", "@import", "url(", "fetch(", "import(", "{{"] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert_eq!(page.matches("href=").count(), page.matches("href=\"data:,\"").count());
}

#[test]
fn what_cannot_be_shown_is_said() {
    let _alone = alone();
    let ebm = Golden::open("original").model(&json!({}));
    let refused = |request: &Request| trace(&ebm, &any_vocab(&ebm), request).unwrap_err().to_string();
    assert!(refused(&request(&[])).contains("at least one character"));
    assert!(refused(&Request { max_new_tokens: 4096, ..request(&[1]) }).contains("at most 4096"));
    ebm.set_alpha(f64::NAN);
    assert!(refused(&request(&[1, 2])).contains("not finite"));
    assert!(refused(&Request { max_new_tokens: 1, ..request(&[1]) }).contains("not finite"));
}
