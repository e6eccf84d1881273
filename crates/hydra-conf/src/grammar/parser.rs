//! From words to a value, by the rules of Hydra's parser.

use super::element::Element;
use super::functions::{self, Argument};
use super::words::{Kind, Word, words};

/// How deep lists, maps and calls may lie in one another: each takes room on the stack.
const DEEPEST: usize = 64;

/// The value of an override.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parsed {
    /// One value.
    One(Element),
    /// Values for jobs of their own; `simple` where they only stand between commas.
    Choice { values: Vec<Element>, simple: bool, shuffled: bool },
    /// Numbers from the first up to the second, by steps of the third.
    Range { start: Element, stop: Element, step: Element, shuffled: bool },
    /// All numbers between two, which no sweeper here can list.
    Interval,
    /// The options of the group whose names match.
    Glob { include: Vec<String>, exclude: Vec<String> },
}

/// Reads what stands after the `=` of an override. The error says what is wrong, as a clause.
pub(crate) fn value(text: &str) -> Result<Parsed, String> {
    let text = text.trim_start_matches([' ', '\t']);
    if text.is_empty() {
        return Ok(Parsed::One(Element::Text(String::new())));
    }
    let mut parser = Parser { words: words(text), at: 0, depth: 0 };
    let first = parser.element()?;
    if parser.peek().is_none() {
        return Ok(first);
    }
    let mut values = vec![single(first)?];
    while parser.take(Kind::Comma).is_some() {
        values.push(single(parser.element()?)?);
    }
    match parser.peek() {
        None => Ok(Parsed::Choice { values, simple: true, shuffled: false }),
        Some(word) => Err(unexpected(word)),
    }
}

/// A value that is no sweep.
fn single(parsed: Parsed) -> Result<Element, String> {
    match parsed {
        Parsed::One(element) => Ok(element),
        _ => Err("a sweep stands alone, and in no list".to_owned()),
    }
}

fn unexpected(word: Word) -> String {
    match word.kind {
        Kind::Quoted => format!("quotes go around the whole of a text, not a part like {}", word.text),
        _ => format!("`{}` has no place there unless it is in quotes", word.text.trim()),
    }
}

struct Parser<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, kind: Kind) -> Option<Word<'a>> {
        let word = self.peek().filter(|word| word.kind == kind)?;
        self.at += 1;
        Some(word)
    }

    fn expect(&mut self, kind: Kind, closing: char) -> Result<(), String> {
        match (self.take(kind), self.peek()) {
            (Some(_), _) => Ok(()),
            (None, Some(word)) => Err(unexpected(word)),
            (None, None) if closing == ':' => Err("a map is written {key:value,other:value}".to_owned()),
            (None, None) => Err(format!("a closing `{closing}` is missing")),
        }
    }

    /// A value, a list, a map or a call.
    fn element(&mut self) -> Result<Parsed, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} brackets are open at once"));
        }
        let call = self.words.get(self.at + 1).is_some_and(|next| next.kind == Kind::Open);
        let element = match self.peek() {
            Some(word) if word.kind == Kind::ListOpen => self.list().map(Parsed::One),
            Some(word) if word.kind == Kind::DictOpen => self.dict().map(Parsed::One),
            Some(word) if word.kind == Kind::Id && call => self.call(word.text),
            _ => self.primitive(false).map(Parsed::One),
        };
        self.depth -= 1;
        element
    }

    fn list(&mut self) -> Result<Element, String> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(Kind::ListClose).is_some() {
            return Ok(Element::List(items));
        }
        loop {
            items.push(single(self.element()?)?);
            if self.take(Kind::Comma).is_none() {
                self.expect(Kind::ListClose, ']')?;
                return Ok(Element::List(items));
            }
        }
    }

    fn dict(&mut self) -> Result<Element, String> {
        self.at += 1;
        let mut pairs: Vec<(Element, Element)> = Vec::new();
        if self.take(Kind::DictClose).is_some() {
            return Ok(Element::Dict(pairs));
        }
        loop {
            if self.peek().is_some_and(|word| word.kind == Kind::Quoted) {
                return Err("keys in a map have no quotes, as in {key:value}".to_owned());
            }
            let key = self.primitive(true)?;
            self.expect(Kind::Colon, ':')?;
            let value = single(self.element()?)?;
            pairs.retain(|(other, _)| *other != key);
            pairs.push((key, value));
            if self.take(Kind::Comma).is_none() {
                self.expect(Kind::DictClose, '}')?;
                return Ok(Element::Dict(pairs));
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Parsed, String> {
        self.at += 2;
        let mut arguments = Vec::new();
        if self.take(Kind::Close).is_some() {
            return functions::call(name, arguments);
        }
        loop {
            let named = self.words.get(self.at + 1).is_some_and(|next| next.kind == Kind::Equal);
            let key = self.peek().filter(|word| named && word.kind == Kind::Id).map(|word| word.text.to_owned());
            self.at += if key.is_some() { 2 } else { 0 };
            if key.is_none() && arguments.iter().any(|argument: &Argument| argument.name.is_some()) {
                return Err(format!("in {name}(…), arguments without a name come first"));
            }
            arguments.push(Argument { name: key, value: self.element()? });
            if self.take(Kind::Comma).is_none() {
                self.expect(Kind::Close, ')')?;
                return functions::call(name, arguments);
            }
        }
    }

    /// A quoted text, or words that are one value together.
    fn primitive(&mut self, is_key: bool) -> Result<Element, String> {
        if let Some(word) = self.take(Kind::Quoted).filter(|_| !is_key) {
            let quote = if word.text.starts_with('"') { '"' } else { '\'' };
            return Ok(Element::Quoted(unescape(&word.text[1..], quote), quote));
        }
        let start = self.at;
        // `=` has a place in calls only, so that elsewhere it can be nothing but text: kinder than Hydra.
        let is_text = |kind| match kind {
            Kind::Float | Kind::Int | Kind::Bool | Kind::Null | Kind::Id => true,
            Kind::Escape | Kind::Blank | Kind::Char => true,
            Kind::Colon | Kind::Reference => !is_key,
            Kind::Equal => self.depth == 1,
            _ => false,
        };
        let len = self.words[start..].iter().take_while(|word| is_text(word.kind)).count();
        self.at += len;
        let mut words = &self.words[start..start + len];
        if words.is_empty() || self.peek().is_some_and(|word| word.kind == Kind::Quoted) {
            return Err(self.peek().map_or_else(|| "a value is missing".to_owned(), unexpected));
        }
        if let [Word { kind: Kind::Blank, .. }, rest @ ..] = words {
            words = rest;
        }
        if let [rest @ .., Word { kind: Kind::Blank, .. }] = words {
            words = rest;
        }
        match words {
            [] => Err("a value of blanks alone needs quotes".to_owned()),
            [word] => Ok(primitive(*word)),
            several => Ok(Element::Text(several.iter().map(|word| plain(*word)).collect())),
        }
    }
}

/// The text a word stands for among others.
fn plain(word: Word) -> String {
    match word.kind {
        Kind::Escape => word.text.chars().skip(1).step_by(2).collect(),
        _ => word.text.to_owned(),
    }
}

/// What a single word stands for.
fn primitive(word: Word) -> Element {
    let digits = || word.text.replace('_', "");
    match word.kind {
        Kind::Null => Element::Null,
        Kind::Bool => Element::Bool(word.text.eq_ignore_ascii_case("true")),
        // One of more than 38 digits is too large for any key but one of text.
        Kind::Int => digits().parse().map_or_else(|_| Element::Text(digits()), Element::Int),
        Kind::Float => digits().parse().map_or_else(|_| Element::Text(digits()), Element::Float),
        _ => Element::Text(plain(word)),
    }
}

/// What a quoted text stands for: of backslashes before a quote, the closing one too, every second one counts.
fn unescape(text: &str, quote: char) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut backslashes = 0;
    for c in text.chars() {
        if c == '\\' {
            backslashes += 1;
            continue;
        }
        let kept = if c == quote { backslashes / 2 } else { backslashes };
        plain.extend(std::iter::repeat_n('\\', kept));
        if c != quote || backslashes % 2 == 1 {
            plain.push(c);
        }
        backslashes = 0;
    }
    plain
}
