//! Notices, while a body is walked once, that fields may have another kind than its type says.
//!
//! The walk sets one bit per known field, in a set per class of JSON value. At the end these sets
//! are compared with those of the record's type, which the compiler has made from the table. The
//! result errs on the side of suspicion; [`super::Record::parse`] then finds what is really odd.

use super::common::Common;
use super::field::Field;
use super::integer::integer_text;
use super::kind::Kind;
use super::lookup::Lookup;
use super::record_type::RecordType;
use crate::scanner::Quoted;

/// A key of a body, as far as it has a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Noted(usize);

/// Keys that the walk itself looks at; they have the first indexes.
const WALKED: [&str; 9] = [
    "type",
    "status",
    "success",
    "timestamp",
    "seq",
    "$offset",
    "$crc",
    "key",
    "of",
];

impl Noted {
    pub(crate) const TYPE: Self = Self(0);
    pub(crate) const STATUS: Self = Self(1);
    pub(crate) const SUCCESS: Self = Self(2);
    pub(crate) const TIMESTAMP: Self = Self(3);
    pub(crate) const SEQ: Self = Self(4);
    pub(crate) const OFFSET: Self = Self(5);
    pub(crate) const CRC: Self = Self(6);
    pub(crate) const RECORD_KEY: Self = Self(7);
    pub(crate) const OF: Self = Self(8);

    /// Looks up a key.
    #[inline]
    pub(crate) fn of(key: &str) -> Option<Self> {
        static TABLE: Lookup<512> = Lookup::new(NAMES.all.split_at(NAMES.len).0);
        TABLE.find(key).map(Self)
    }
}

/// The classes of JSON values. A null is of no class.
#[derive(Clone, Copy)]
enum Class {
    Text,
    Integer,
    Number,
    Bool,
    Object,
    Array,
}

const CLASSES: usize = 6;

/// How many different fields may have one of a few values.
const CHOICES: usize = 8;

/// The values of the known fields of a body.
#[derive(Default)]
pub(crate) struct Values<'t> {
    seen: [u128; CLASSES],
    chosen: [Option<Quoted<'t>>; CHOICES],
}

impl<'t> Values<'t> {
    /// Notes a value by its first byte, and, if it is a number, by its text.
    #[inline]
    pub(crate) fn note(&mut self, key: Noted, first: u8, text: impl FnOnce() -> &'t str) {
        let class = match first {
            b'"' => Class::Text,
            b'{' => Class::Object,
            b'[' => Class::Array,
            b't' | b'f' => Class::Bool,
            b'n' => return,
            _ if is_integer(text()) => Class::Integer,
            _ => Class::Number,
        };
        self.seen[class as usize] |= 1 << key.0;
    }

    /// Notes the content of a field that may have one of a few values.
    #[inline]
    pub(crate) fn choose(&mut self, key: Noted, text: Option<Quoted<'t>>) {
        let choice = NAMES.choice[key.0];
        if choice != NONE {
            self.chosen[usize::from(choice)] = text;
        }
    }

    /// Whether a field may be of another kind than this type says.
    pub(crate) fn is_suspect(&self, kind: RecordType) -> bool {
        let expected = &EXPECTED[kind as usize];
        let mut wrong = 0;
        for (seen, odd) in self.seen.iter().zip(&expected.odd) {
            wrong |= seen & odd;
        }
        wrong != 0 || self.has_odd_choice(expected)
    }

    fn has_odd_choice(&self, expected: &Expected) -> bool {
        let mut choices = self.chosen.iter().zip(&expected.choices);
        choices.any(|(chosen, known)| match chosen {
            Some(text) if !known.is_empty() => {
                let text = text.decoded();
                !text.is_some_and(|text| known.contains(&&*text))
            }
            Some(_) | None => false,
        })
    }
}

/// Whether the text of a number is that of an integer; the common short ones are not parsed.
fn is_integer(text: &str) -> bool {
    let is_short = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_short || integer_text(text).is_some()
}

/// The expectations of a record type.
struct Expected {
    /// For each class, the fields that must not be of it.
    odd: [u128; CLASSES],
    /// For each field that may have one of a few values, these values.
    choices: [&'static [&'static str]; CHOICES],
}

static EXPECTED: [Expected; RecordType::ALL.len()] = {
    let mut all = [const {
        Expected {
            odd: [0; CLASSES],
            choices: [&[]; CHOICES],
        }
    }; RecordType::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        expect(&mut all[index], Common::FIELDS);
        expect(&mut all[index], RecordType::ALL[index].fields());
        index += 1;
    }
    all
};

const fn expect(expected: &mut Expected, fields: &[Field]) {
    let mut at = 0;
    while at < fields.len() {
        let index = index_of(&NAMES, fields[at].name);
        let classes: &[Class] = match fields[at].kind {
            Kind::OneOf(names) => {
                expected.choices[NAMES.choice[index] as usize] = names;
                &[Class::Text]
            }
            // An object may be a blob reference; that is looked at when it is suspected.
            Kind::Text | Kind::Content => &[Class::Text],
            Kind::Integer => &[Class::Integer],
            Kind::Number => &[Class::Integer, Class::Number],
            Kind::Bool => &[Class::Bool],
            Kind::Object => &[Class::Object],
            Kind::Array => &[Class::Array],
            Kind::Any => {
                at += 1;
                continue;
            }
        };
        let mut class = 0;
        while class < CLASSES {
            let mut is_allowed = false;
            let mut allowed = 0;
            while allowed < classes.len() {
                is_allowed |= classes[allowed] as usize == class;
                allowed += 1;
            }
            if !is_allowed {
                expected.odd[class] |= 1 << index;
            }
            class += 1;
        }
        at += 1;
    }
}

const NONE: u8 = 255;

/// The names of all fields, each once.
struct Names {
    all: [&'static str; 128],
    len: usize,
    /// The place of a field among those that may have one of a few values.
    choice: [u8; 128],
    choices: u8,
}

static NAMES: Names = {
    let mut names = Names {
        all: [""; 128],
        len: 0,
        choice: [NONE; 128],
        choices: 0,
    };
    while names.len < WALKED.len() {
        names.all[names.len] = WALKED[names.len];
        names.len += 1;
    }
    add(&mut names, Common::FIELDS);
    let mut index = 0;
    while index < RecordType::ALL.len() {
        add(&mut names, RecordType::ALL[index].fields());
        index += 1;
    }
    names
};

const fn add(names: &mut Names, fields: &[Field]) {
    let mut at = 0;
    while at < fields.len() {
        let index = index_of(names, fields[at].name);
        if index == names.len {
            names.all[index] = fields[at].name;
            names.len += 1;
        }
        if matches!(fields[at].kind, Kind::OneOf(_)) && names.choice[index] == NONE {
            names.choice[index] = names.choices;
            names.choices += 1;
            assert!(names.choices as usize <= CHOICES);
        }
        at += 1;
    }
}

/// The index of a name, or that of the next name to come.
const fn index_of(names: &Names, name: &str) -> usize {
    let mut index = 0;
    while index < names.len && !is_equal(names.all[index].as_bytes(), name.as_bytes()) {
        index += 1;
    }
    index
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
