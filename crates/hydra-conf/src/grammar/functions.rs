//! The functions of Hydra's grammar: casts, sweeps, and what changes the order of either.

use std::cmp::Ordering;

use super::element::{Element, python_float};
use super::parser::Parsed;
use crate::python;

/// An argument of a call.
pub(super) struct Argument {
    /// The name before its `=`.
    pub name: Option<String>,
    pub value: Parsed,
}

/// What a call stands for. The error says what is wrong, as a clause.
pub(super) fn call(name: &str, arguments: Vec<Argument>) -> Result<Parsed, String> {
    let arguments = arguments.into_iter().map(|argument| Argument { value: unquoted(argument.value), ..argument });
    let mut call = Call { name, arguments: arguments.collect() };
    match name {
        "int" => call.cast(Cast::Int),
        "float" => call.cast(Cast::Float),
        "str" => call.cast(Cast::Str),
        "bool" => call.cast(Cast::Bool),
        "choice" => call.choice(),
        "range" => call.range(),
        "interval" => call.interval(),
        "glob" => call.glob(),
        "sort" => call.sort(),
        "shuffle" => call.shuffle(),
        "tag" => call.tag(),
        _ => Err(format!(
            "no function is called {name}; there are choice, range, interval, glob, sort, shuffle, tag, int, float, str \
             and bool, and other text with brackets needs quotes"
        )),
    }
}

fn unquoted(parsed: Parsed) -> Parsed {
    match parsed {
        Parsed::One(element) => Parsed::One(element.unquoted()),
        other => other,
    }
}

/// A call that is being made; arguments leave it as they are used.
struct Call<'a> {
    name: &'a str,
    arguments: Vec<Argument>,
}

impl Call<'_> {
    fn wrong(&self, problem: &str) -> String {
        format!("{}(…) {problem}", self.name)
    }

    /// The argument of this name.
    fn named(&mut self, name: &str) -> Option<Parsed> {
        let at = self.arguments.iter().position(|argument| argument.name.as_deref() == Some(name))?;
        Some(self.arguments.remove(at).value)
    }

    /// The argument at the front, else that of this name.
    fn next(&mut self, name: &str) -> Option<Parsed> {
        match self.arguments.first() {
            Some(Argument { name: None, .. }) => Some(self.arguments.remove(0).value),
            _ => self.named(name),
        }
    }

    /// All arguments that are left, which must have no name.
    fn rest(&mut self) -> Result<Vec<Parsed>, String> {
        match self.arguments.iter().find_map(|argument| argument.name.clone()) {
            Some(name) => Err(self.wrong(&format!("has no argument `{name}`"))),
            None => Ok(self.arguments.drain(..).map(|argument| argument.value).collect()),
        }
    }

    /// Refuses arguments that are left.
    fn end(&mut self) -> Result<(), String> {
        match self.rest()?.is_empty() {
            true => Ok(()),
            false => Err(self.wrong("has too many arguments")),
        }
    }

    /// Arguments that are values each.
    fn elements(&self, arguments: Vec<Parsed>) -> Result<Vec<Element>, String> {
        let element = |argument| match argument {
            Parsed::One(element) => Ok(element),
            _ => Err(self.wrong("takes one sweep, or values")),
        };
        arguments.into_iter().map(element).collect()
    }

    fn number(&mut self, name: &str) -> Result<Option<Element>, String> {
        match self.next(name) {
            None => Ok(None),
            Some(Parsed::One(number @ (Element::Int(_) | Element::Float(_)))) => Ok(Some(number)),
            Some(Parsed::One(Element::Bool(flag))) => Ok(Some(Element::Int(flag.into()))),
            Some(_) => Err(self.wrong("takes numbers")),
        }
    }

    fn cast(&mut self, to: Cast) -> Result<Parsed, String> {
        let value = self.named("value");
        let mut arguments = self.rest()?;
        match (value, arguments.len()) {
            (Some(value), 0) => to.sweep(value),
            (Some(_), _) => Err(self.wrong("takes its value once")),
            (None, 0) => Err(self.wrong("needs a value")),
            (None, 1) => to.sweep(arguments.remove(0)),
            (None, _) => to.sweep(Parsed::Choice { values: self.elements(arguments)?, simple: true, shuffled: false }),
        }
    }

    fn choice(&mut self) -> Result<Parsed, String> {
        let mut arguments = self.rest()?;
        if let [Parsed::Choice { simple: simple @ true, .. }] = arguments.as_mut_slice() {
            *simple = false;
            return Ok(arguments.remove(0));
        }
        let values = self.elements(arguments)?;
        match values.is_empty() || values.contains(&Element::Null) {
            true => Err(self.wrong("needs one value or more, none of them null")),
            false => Ok(Parsed::Choice { values, simple: false, shuffled: false }),
        }
    }

    fn range(&mut self) -> Result<Parsed, String> {
        let start = self.number("start")?.ok_or_else(|| self.wrong("needs a number to stop at"))?;
        let stop = self.number("stop")?;
        let step = self.number("step")?.unwrap_or(Element::Int(1));
        self.end()?;
        let (start, stop) = stop.map_or_else(|| (Element::Int(0), start.clone()), |stop| (start.clone(), stop));
        Ok(Parsed::Range { start, stop, step, shuffled: false })
    }

    fn interval(&mut self) -> Result<Parsed, String> {
        let ends = (self.number("start")?, self.number("end")?);
        self.end()?;
        match ends {
            (Some(_), Some(_)) => Ok(Parsed::Interval),
            _ => Err(self.wrong("needs two numbers")),
        }
    }

    fn glob(&mut self) -> Result<Parsed, String> {
        let include = self.next("include").ok_or_else(|| self.wrong("needs a pattern, as in glob(*)"))?;
        let exclude = self.next("exclude").unwrap_or(Parsed::One(Element::List(Vec::new())));
        self.end()?;
        let patterns = |parsed: Parsed| -> Option<Vec<String>> {
            match parsed {
                Parsed::One(Element::Text(pattern)) => Some(vec![pattern]),
                Parsed::One(Element::List(items)) => items.iter().map(|item| item.text().map(str::to_owned)).collect(),
                _ => None,
            }
        };
        match (patterns(include), patterns(exclude)) {
            (Some(include), Some(exclude)) => Ok(Parsed::Glob { include, exclude }),
            _ => Err(self.wrong("takes patterns of names, as in glob([a*,b*],exclude=*c)")),
        }
    }

    fn sort(&mut self) -> Result<Parsed, String> {
        let reverse = match self.named("reverse") {
            None => false,
            Some(Parsed::One(Element::Bool(reverse))) => reverse,
            Some(_) => return Err(self.wrong("takes reverse=true or reverse=false")),
        };
        match self.one_or_many()? {
            Parsed::Choice { mut values, simple, shuffled } => {
                order(&mut values, reverse)?;
                Ok(Parsed::Choice { values, simple, shuffled })
            }
            Parsed::One(Element::List(mut items)) => {
                order(&mut items, reverse)?;
                Ok(Parsed::One(Element::List(items)))
            }
            Parsed::Range { start, stop, step, shuffled } => Ok(turned(start, stop, step, shuffled, reverse)),
            Parsed::One(Element::Null) | Parsed::Interval | Parsed::Glob { .. } => {
                Err(self.wrong("takes a list or a sweep"))
            }
            one => Ok(one),
        }
    }

    fn shuffle(&mut self) -> Result<Parsed, String> {
        match self.one_or_many()? {
            Parsed::Choice { values, simple, .. } => Ok(Parsed::Choice { values, simple, shuffled: true }),
            Parsed::Range { start, stop, step, .. } => Ok(Parsed::Range { start, stop, step, shuffled: true }),
            Parsed::One(Element::List(mut items)) => {
                shuffle(&mut items);
                Ok(Parsed::One(Element::List(items)))
            }
            Parsed::One(Element::Null) | Parsed::Interval | Parsed::Glob { .. } => {
                Err(self.wrong("takes a list or a sweep"))
            }
            Parsed::One(one) => Ok(Parsed::One(Element::List(vec![one]))),
        }
    }

    /// A list or a sweep, by name or not, or values that are a sweep together.
    fn one_or_many(&mut self) -> Result<Parsed, String> {
        if let Some(list) = self.named("list").or_else(|| self.named("sweep")) {
            return Ok(list);
        }
        let mut arguments = self.rest()?;
        if arguments.len() == 1 {
            return Ok(arguments.remove(0));
        }
        let values = self.elements(arguments)?;
        let plain = |value: &Element| !matches!(value, Element::Null | Element::List(_) | Element::Dict(_));
        match values.is_empty() || !values.iter().all(plain) {
            true => Err(self.wrong("takes a list, a sweep, or values that are neither list nor null")),
            false => Ok(Parsed::Choice { values, simple: true, shuffled: false }),
        }
    }

    /// The sweep; tags are for other sweepers than ours.
    fn tag(&mut self) -> Result<Parsed, String> {
        let sweep = self.named("sweep");
        let mut arguments = self.rest()?;
        let sweep = sweep.or_else(|| arguments.pop());
        let texts = arguments.iter().all(|tag| matches!(tag, Parsed::One(Element::Text(_))));
        match sweep {
            Some(sweep @ (Parsed::Choice { .. } | Parsed::Range { .. } | Parsed::Interval)) if texts => Ok(sweep),
            _ => Err(self.wrong("takes names, then a sweep")),
        }
    }
}

/// Puts a list into a random order.
pub(crate) fn shuffle(items: &mut [Element]) {
    use std::hash::{BuildHasher, RandomState};
    items.sort_by_cached_key(|_| RandomState::new().hash_one(0));
}

/// A range that ascends, or descends.
fn turned(start: Element, stop: Element, step: Element, shuffled: bool, reverse: bool) -> Parsed {
    let ascends = number(&start) < number(&stop);
    if number(&start) == number(&stop) || ascends != reverse {
        return Parsed::Range { start, stop, step, shuffled };
    }
    // The last number that is reached, if it is as far from the end as a whole step.
    let ends = |end: &Element| match (end, &step) {
        (Element::Int(end), Element::Int(step)) if reverse => Element::Int(end.saturating_sub(step.saturating_abs())),
        (Element::Int(end), Element::Int(step)) => Element::Int(end.saturating_add(step.saturating_abs())),
        _ if reverse => Element::Float(number(end) - number(&step).abs()),
        _ => Element::Float(number(end) + number(&step).abs()),
    };
    let back = match step {
        Element::Int(step) => Element::Int(-step),
        _ => Element::Float(-number(&step)),
    };
    Parsed::Range { start: ends(&stop), stop: ends(&start), step: back, shuffled }
}

/// A number as a float.
pub(super) fn number(element: &Element) -> f64 {
    match element {
        Element::Int(int) => *int as f64,
        Element::Float(float) => *float,
        Element::Bool(flag) => f64::from(*flag),
        _ => f64::NAN,
    }
}

/// Sorts values that can be compared: numbers among themselves, and texts.
fn order(values: &mut [Element], reverse: bool) -> Result<(), String> {
    let kind = |value: &Element| match value {
        Element::Int(_) | Element::Float(_) | Element::Bool(_) => Some(0),
        Element::Text(_) => Some(1),
        _ => None,
    };
    let kinds: Vec<_> = values.iter().map(kind).collect();
    if values.len() > 1 && (kinds.contains(&None) || kinds.windows(2).any(|pair| pair[0] != pair[1])) {
        return Err("sort(…) compares numbers with numbers and text with text".to_owned());
    }
    let compare = |a: &Element, b: &Element| match (a.text(), b.text()) {
        (Some(a), Some(b)) => a.cmp(b),
        _ => match number(a) == number(b) {
            true => Ordering::Equal,
            false => number(a).total_cmp(&number(b)),
        },
    };
    values.sort_by(|a, b| if reverse { compare(b, a) } else { compare(a, b) });
    Ok(())
}

/// The types that values can be cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    Int,
    Float,
    Str,
    Bool,
}

impl Cast {
    /// Casts a value, or each of a sweep.
    fn sweep(self, parsed: Parsed) -> Result<Parsed, String> {
        let numeric = matches!(self, Self::Int | Self::Float);
        Ok(match parsed {
            Parsed::One(element) => Parsed::One(self.element(element)?),
            Parsed::Choice { values, simple, .. } => {
                let values = values.into_iter().map(|value| self.element(value)).collect::<Result<_, _>>()?;
                Parsed::Choice { values, simple, shuffled: false }
            }
            Parsed::Range { start, stop, step, .. } if numeric => Parsed::Range {
                start: self.element(start)?,
                stop: self.element(stop)?,
                step: self.element(step)?,
                shuffled: false,
            },
            Parsed::Interval if numeric => Parsed::Interval,
            _ => return Err("a range or an interval holds numbers, and can be made int or float only".to_owned()),
        })
    }

    fn element(self, element: Element) -> Result<Element, String> {
        let fails = |element: &Element| format!("{element} cannot be made {}", self.name());
        match element.unquoted() {
            Element::List(items) => {
                items.into_iter().map(|item| self.element(item)).collect::<Result<_, _>>().map(Element::List)
            }
            Element::Dict(pairs) => {
                let cast = |(key, value)| Ok((key, self.element(value)?));
                pairs.into_iter().map(cast).collect::<Result<_, String>>().map(Element::Dict)
            }
            plain => self.plain(&plain).ok_or_else(|| fails(&plain)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Str => "text",
            Self::Bool => "true or false",
        }
    }

    /// The cast of a value that is neither list nor map; none where it cannot be.
    fn plain(self, element: &Element) -> Option<Element> {
        let whole = |float: f64| (float.abs() < 1e38).then_some(float.trunc() as i128);
        Some(match (self, element) {
            (_, Element::Null | Element::List(_) | Element::Dict(_)) => return None,
            (Self::Int, Element::Text(text) | Element::Quoted(text, _)) => Element::Int(python::int(text)?),
            (Self::Int, Element::Float(float)) => Element::Int(whole(*float)?),
            (Self::Int, Element::Bool(flag)) => Element::Int((*flag).into()),
            (Self::Float, Element::Text(text) | Element::Quoted(text, _)) => Element::Float(python::float(text)?),
            (Self::Float, number_) => Element::Float(number(number_)),
            (Self::Str, Element::Bool(flag)) => Element::Text(flag.to_string()),
            (Self::Str, Element::Float(float)) => Element::Text(python_float(*float)),
            (Self::Str, other) => Element::Text(other.python_str()?),
            (Self::Bool, Element::Text(text) | Element::Quoted(text, _)) => {
                Element::Bool(text.to_ascii_lowercase().parse().ok()?)
            }
            (Self::Bool, number_) => Element::Bool(number(number_) != 0.0),
            (_, same) => same.clone(),
        })
    }
}
