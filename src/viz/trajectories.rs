//! Trajectories: the logits and probabilities of the likeliest tokens, step by step.

use plotters::style::RGBColor;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use super::draw::style::{self, COLOURS, short};
use super::draw::{Axis, Dash, DrawError, Picture, Sample, Sheet, Table, by_step, line, panel, range_of};
use super::numbers::numbers_of;
use super::studio::Studio;
use crate::data::Vocab;
use crate::energy::{centred, expected_energy};
use crate::error::Error;

/// The path of one token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    id: i64,
    token: String,
    /// Its energy, which with hard tokens stays
    energy: f64,
    /// Its logit after each step as the loop has it, System 1 first
    logits: Vec<f64>,
    /// The same less the mean over the vocabulary, which softmax does not see; this is drawn
    centred_logits: Vec<f64>,
    probabilities: Vec<f64>,
}

/// The numbers of the picture.
#[derive(Debug, Serialize)]
struct Trajectories {
    context: String,
    position: i64,
    /// Expected energy after each step
    energies: Vec<f64>,
    /// The likeliest tokens after the last step, best first
    tokens: Vec<Token>,
}

/// Follows the `topk` tokens that are likeliest at the end: x of each step (1, T, V), System 1's energies (1, T, V).
pub fn trajectories(
    trajectory: &[Tensor],
    energies: &Tensor,
    (position, topk): (i64, i64),
    vocab: &Vocab,
) -> (Vec<f64>, Vec<Token>) {
    let at = |x: &Tensor| x.select(1, position).reshape([-1]); // (V)
    let x = Tensor::stack(&trajectory.iter().map(at).collect::<Vec<_>>(), 0).to_kind(Kind::Double); // (K + 1, V)
    let e = at(energies).to_kind(Kind::Double); // (V)
    let v = e.size()[0];
    let (_, best) = x.get(-1).topk(topk.min(v), -1, true, true);
    let (middle, p) = (centred(&x), x.softmax(-1, None)); // (K + 1, V)
    // expected_energy takes (B, T, V): the steps stand where the positions are.
    let path = expected_energy(&x.unsqueeze(0), &e.view([1, 1, -1]));
    let column = |t: &Tensor, id: i64| numbers_of(&t.select(1, id));
    let tokens = numbers_of(&best).into_iter().map(|id| Token {
        id,
        token: vocab.char(id).map(String::from).unwrap_or_default(),
        energy: e.double_value(&[id]),
        logits: column(&x, id),
        centred_logits: column(&middle, id),
        probabilities: column(&p, id),
    });
    (numbers_of(&path), tokens.collect())
}

pub(super) fn picture(studio: &Studio) -> Result<Picture, Error> {
    let (prompt, topk) = (studio.prompt()?, studio.config.topk);
    let (energies, tokens) =
        no_grad(|| trajectories(&prompt.trajectory, &prompt.reading.energies, (prompt.position, topk), &prompt.vocab));
    let linear = prompt.ebm.family.is_linear();
    // Otherwise what is descended is not expected under System 1's energies.
    let energies = if linear { energies } else { prompt.energy_at(&prompt.path()) };
    let numbers = Trajectories { context: prompt.context(), position: prompt.position, energies, tokens };
    let moved = numbers.tokens.iter().map(|t| (t.centred_logits[prompt.steps()] - t.centred_logits[0]).abs());
    let summary = format!(
        "After {}: the {} likeliest characters; {}: logits moved by at most {}{}.",
        numbers.context,
        numbers.tokens.len(),
        prompt.effort(),
        short(moved.fold(0.0, f64::max)),
        prompt.stopped()
    );
    let mut table = Table::new(&["step", "id", "token", "logit", "centred_logit", "probability"]);
    for step in 0..=prompt.steps() {
        for t in &numbers.tokens {
            table.row(&[&step, &t.id, &t.token, &t.logits[step], &t.centred_logits[step], &t.probabilities[step]]);
        }
    }
    let picture = Picture::new(
        "trajectories",
        "What thinking does to the likeliest characters",
        "Each line is one candidate for the next character: its logit (less the mean over the vocabulary), how far that has moved since System 1, and its \
         probability, step by step.",
    );
    picture.draw(studio.config.format, &summary, |sheet| paint(sheet, &numbers))?.numbers(&numbers, table)
}

/// Colour and dash of the n-th token.
fn look(n: usize) -> (RGBColor, Dash) {
    (style::colour(n), Dash::ALL[n / COLOURS.len() % Dash::ALL.len()])
}

fn paint(sheet: &mut Sheet, numbers: &Trajectories) -> Result<(), DrawError> {
    let steps = numbers.energies.len() - 1;
    sheet.legend(numbers.tokens.iter().enumerate().map(|(n, t)| {
        let (colour, dash) = look(n);
        (t.token.chars().map(style::token).collect::<String>(), Sample::Line(colour, dash))
    }))?;
    type Values = fn(&Token, usize) -> f64;
    let panels: [(&str, &str, Values); 3] = [
        ("logits", "logit − mean", |t, k| t.centred_logits[k]),
        ("their change", "logit − System 1's", |t, k| t.centred_logits[k] - t.centred_logits[0]),
        ("probabilities", "probability", |t, k| t.probabilities[k]),
    ];
    let rooms = sheet.panels(3, (3, 200.0), |_| 240.0);
    for ((title, label, value), room) in panels.into_iter().zip(rooms) {
        let values = |t: &Token| (0..=steps).map(|k| value(t, k)).collect::<Vec<_>>();
        let mut range = range_of(numbers.tokens.iter().flat_map(values));
        if label == "probability" {
            range.start = 0.0;
        }
        let mut chart = panel(&room, title, &Axis::steps(steps).with_ticks(4), &Axis::new(label, range))?;
        for (n, token) in numbers.tokens.iter().enumerate() {
            let (colour, dash) = look(n);
            line(&mut chart, &by_step(values(token)), &colour, (1.6, dash))?;
        }
    }
    Ok(())
}
