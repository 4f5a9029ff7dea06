//! TOML text, read with the place of every value so that all mistakes in it are named at once. Reads text it is given,
//! never a file.

use std::{fmt, ops::Range};

use toml::de::{DeTable, DeValue};

/// Most mistakes that are named; what a file of another kind would add is only counted.
const MAX_MISTAKES: usize = 100;

/// One thing that is wrong in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// The entry as a path, such as `models.tts.cartesia/sonic`; empty for the text as a whole.
    pub entry: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// All that is wrong in a text; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

/// A table of the text, and where it stands.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    text: &'a str,
    path: String,
    line: usize,
    values: &'a DeTable<'a>,
}

/// A named value of a table.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    text: &'a str,
    pub path: String,
    pub line: usize,
    pub name: &'a str,
    pub value: &'a DeValue<'a>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.entry.is_empty() {
            write!(f, "{}: ", self.entry)?;
        }
        f.write_str(&self.problem)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().take(MAX_MISTAKES).enumerate() {
            write!(f, "{}{mistake}", if n > 0 { "\n" } else { "" })?;
        }
        match self.0.len().saturating_sub(MAX_MISTAKES) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Mistakes {
    pub fn add(&mut self, line: usize, entry: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Mistake { line, entry: entry.into(), problem: problem.into() });
    }

    /// `value` when nothing is wrong.
    ///
    /// # Errors
    /// When something is.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// Reads a text with `read`, which adds what is wrong to the mistakes. Errors of syntax keep it from being called: what
/// it would say after them would mislead.
///
/// # Errors
/// Everything that is wrong, by line.
pub fn read<T>(text: &str, read: impl FnOnce(&Table<'_>, &mut Mistakes) -> T) -> Result<T, Mistakes> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut mistakes = Mistakes::default();
    for error in errors {
        mistakes.add(line_of(text, error.span()), "", error.message().trim());
    }
    let mut mistakes = mistakes.or(Mistakes::default())?;
    let root = Table { text, path: String::new(), line: 1, values: root.get_ref() };
    let value = read(&root, &mut mistakes);
    mistakes.0.sort_by_key(|mistake| mistake.line);
    mistakes.or(value)
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start.min(text.len()));
    1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
}

impl<'a> Table<'a> {
    /// All values, by name.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        let (text, path) = (self.text, self.path.clone());
        self.values.iter().map(move |(name, value)| {
            let path = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
            let line = line_of(text, Some(name.span()));
            Entry { text, path, line, name: name.get_ref(), value: value.get_ref() }
        })
    }

    pub fn get(&self, name: &str) -> Option<Entry<'a>> {
        self.entries().find(|entry| entry.name == name)
    }

    /// Says that the table itself is wrong.
    pub fn wrong(&self, problem: impl Into<String>, mistakes: &mut Mistakes) {
        mistakes.add(self.line, &*self.path, problem);
    }

    /// Names the values that are none of `known`.
    pub fn only(&self, known: &[&str], mistakes: &mut Mistakes) {
        for entry in self.entries().filter(|entry| !known.contains(&entry.name)) {
            entry.wrong(unknown(entry.name, known.iter().copied()), mistakes);
        }
    }

    pub fn text(&self, name: &str, mistakes: &mut Mistakes) -> Option<&'a str> {
        self.get(name)?.text(mistakes)
    }

    /// The text that must be there.
    pub fn required_text(&self, name: &str, mistakes: &mut Mistakes) -> Option<&'a str> {
        if self.get(name).is_none() {
            self.wrong(format!("has no `{name}`"), mistakes);
        }
        self.text(name, mistakes)
    }

    pub fn table(&self, name: &str, mistakes: &mut Mistakes) -> Option<Table<'a>> {
        self.get(name)?.table(mistakes)
    }

    /// The tables of an array; empty when it is not there.
    pub fn tables(&self, name: &str, mistakes: &mut Mistakes) -> Vec<Table<'a>> {
        let Some(entry) = self.get(name) else { return Vec::new() };
        entry.items(mistakes).into_iter().filter_map(|item| item.table(mistakes)).collect()
    }
}

impl<'a> Entry<'a> {
    /// Says that the value is wrong.
    pub fn wrong(&self, problem: impl Into<String>, mistakes: &mut Mistakes) {
        mistakes.add(self.line, &*self.path, problem);
    }

    fn wrong_type(&self, right: &str, mistakes: &mut Mistakes) {
        self.wrong(
            format!("is {} {}; {right} is needed", article(self.value.type_str()), self.value.type_str()),
            mistakes,
        );
    }

    /// The value as a text that is not empty.
    pub fn text(&self, mistakes: &mut Mistakes) -> Option<&'a str> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => return Some(text),
            Some(_) => self.wrong("is empty", mistakes),
            None => self.wrong_type("a string", mistakes),
        }
        None
    }

    /// The value as a number of a range.
    pub fn number(&self, range: std::ops::RangeInclusive<u32>, mistakes: &mut Mistakes) -> Option<u32> {
        let right = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type(&right, mistakes);
            return None;
        };
        let number =
            u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(format!("is {}; {right} is needed", integer.as_str()), mistakes);
        }
        number
    }

    /// The value as one of those that have a spelling.
    pub fn spelled<T: std::str::FromStr<Err = String>>(&self, mistakes: &mut Mistakes) -> Option<T> {
        self.text(mistakes)?.parse().map_err(|problem: String| self.wrong(problem, mistakes)).ok()
    }

    pub fn table(&self, mistakes: &mut Mistakes) -> Option<Table<'a>> {
        let Some(values) = self.value.as_table() else {
            self.wrong_type("a table", mistakes);
            return None;
        };
        Some(Table { text: self.text, path: self.path.clone(), line: self.line, values })
    }

    /// The values of an array, each with its number from 1 in its path.
    pub fn items(&self, mistakes: &mut Mistakes) -> Vec<Entry<'a>> {
        let Some(array) = self.value.as_array() else {
            self.wrong_type("an array", mistakes);
            return Vec::new();
        };
        let items = array.iter().enumerate().map(|(n, item)| Entry {
            text: self.text,
            path: format!("{}[{}]", self.path, n + 1),
            line: line_of(self.text, Some(item.span())),
            name: self.name,
            value: item.get_ref(),
        });
        items.collect()
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Says that a name is not known, and which known one is nearest.
pub fn unknown<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match nearest(name, known) {
        Some(candidate) => format!("is not known; did you mean `{candidate}`?"),
        None => "is not known".to_owned(),
    }
}

/// The known name that is nearest by spelling, when it is near.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A third of the letters may differ: more than that is another word.
    let most = (name.chars().count() / 3).max(1);
    let nearest = known.into_iter().map(|candidate| (distance(name, candidate), candidate)).min();
    nearest.filter(|(distance, _)| *distance <= most).map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed or replaced to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_has_its_line_and_its_entry() {
        let text = "name = 3\ncolour = \"x\"\n\n[[rows]]\nslots = -1\n";
        let mistakes = read(text, |root, mistakes| {
            root.only(&["name", "color", "rows"], mistakes);
            root.required_text("name", mistakes);
            root.required_text("color", mistakes);
            for row in root.tables("rows", mistakes) {
                row.get("slots").unwrap().number(1..=9, mistakes);
            }
        });
        let words = [
            "line 1: name: is an integer; a string is needed",
            "line 1: has no `color`",
            "line 2: colour: is not known; did you mean `color`?",
            "line 5: rows[1].slots: is -1; a whole number from 1 to 9 is needed",
        ];
        assert_eq!(mistakes.unwrap_err().to_string(), words.join("\n"));
    }

    #[test]
    fn errors_of_syntax_are_all_named() {
        let mistakes = read("a = \nb = 1\nb = 2\n", |_, _| ()).unwrap_err();
        assert_eq!(mistakes.0.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 3], "{mistakes}");
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(unknown("port", ["listen", "store"]), "is not known");
    }
}
