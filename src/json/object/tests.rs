//! Tests of the strict reader against serde_json, which is told to be as strict.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::*;
use crate::json::RESERVED;

/// serde_json, told to be as strict: holds the depth it stands at.
struct Oracle(u32);

impl<'de> DeserializeSeed<'de> for Oracle {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Oracle {
    fn inside<E: Error>(&self) -> Result<u32, E> {
        let deeper = self.0 + 1;
        let is_allowed = deeper <= MAX_DEPTH;
        is_allowed.then_some(deeper).ok_or(E::custom("depth"))
    }
}

impl<'de> Visitor<'de> for Oracle {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        let is_read = number.abs() < 1e308;
        is_read.then_some(()).ok_or(E::custom("number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.inside()?;
        while seq.next_element_seed(Self(depth))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.inside()?;
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.starts_with(RESERVED) || !names.insert(name) {
                return Err(A::Error::custom("name"));
            }
            map.next_value_seed(Self(depth))?;
        }
        Ok(())
    }
}

/// What serde_json reads, but for one thing: a number of 1e308 or more is refused here. Whether
/// serde_json reads one near the greatest depends on its feature `float_roundtrip`.
fn oracle(json: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    is_object && Oracle(0).deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
}

fn reads(json: &[u8]) -> bool {
    std::str::from_utf8(json).is_ok_and(|text| read_object(text, |_, _| Ok(())).is_ok())
}

#[test]
fn what_is_read_is_what_serde_json_reads() {
    let nested = |depth: usize| {
        format!(
            "{}1{}",
            "{\"a\":[".repeat(depth / 2),
            "]}".repeat(depth / 2)
        )
        .into_bytes()
    };
    let digits = |count: usize| format!("{{\"a\":{}}}", "9".repeat(count)).into_bytes();
    let mut texts: Vec<Vec<u8>> = vec![nested(30), nested(32), nested(34), nested(200)];
    texts.extend([300, 308, 309, 310, 400].map(digits));
    for text in [
        "",
        " ",
        "{}",
        " {} ",
        "{}x",
        "{}{}",
        "[]",
        "1",
        "null",
        "{",
        "}",
        "{]",
        "[}",
        "\u{feff}{}",
        "{,}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"b\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"\\u0061\":1,\"a\":2}",
        "{\"\\u0061\":1,\"\\u0061\":2}",
        "{\"b\":{\"a\":1,\"a\":2}}",
        "{\"b\":[{\"a\":1,\"a\":2}]}",
        "{\"\":1}",
        "{\"\":1,\"\":2}",
        "{\"$serde_json::private::Number\":\"1\"}",
        "{\"a\":{\"$serde_json::private::RawValue\":\"1\"}}",
        "{\"$a\":1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":-0}",
        "{\"a\":+1}",
        "{\"a\":.1}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":1e307}",
        "{\"a\":1e308}",
        "{\"a\":1e309}",
        "{\"a\":-1e309}",
        "{\"a\":1E400}",
        "{\"a\":0e999}",
        "{\"a\":1e-999}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":nul}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\ud83d\\ude00\"}",
        "{\"a\":\"\\ud800\\ud800\"}",
        "{\"\\ud800\":1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\t\\/\"}",
        "{\"a\":\"\u{7f}\u{e9}\u{1f600}\"}",
        "{\"a\":1}\0",
        "{\"a\":/**/1}",
        "{\"a\":\u{a0}1}",
    ] {
        texts.push(text.into());
    }
    texts.push(b"{\"a\":\"\xff\"}".into());
    texts.push(b"{\"\xc0\x80\":1}".into());
    for text in texts {
        assert_eq!(reads(&text), oracle(&text), "{}", text.escape_ascii());
    }
}

#[test]
fn numbers_are_read_below_1e308() {
    let nines = |count| "9".repeat(count);
    let zeros = |count| "0".repeat(count);
    for (number, is_read) in [
        ("9.99e307".to_owned(), true),
        ("9.999999999999999e307".to_owned(), true),
        ("1e308".to_owned(), false),
        ("1.0E+308".to_owned(), false),
        ("0.1e309".to_owned(), false),
        ("10e307".to_owned(), false),
        ("1.7976931348623157e308".to_owned(), false),
        ("1.7976931348623158e308".to_owned(), false),
        ("1.797693134862315708e308".to_owned(), false),
        ("17976931348623157e292".to_owned(), false),
        ("1e309".to_owned(), false),
        ("1e99999999999".to_owned(), false),
        // In digits alone.
        (format!("{}", f64::MAX), false),
        (format!("{}.0", f64::MAX), false),
        (format!("1{}", zeros(308)), false),
        (nines(308), false),
        (format!("9.99{}", zeros(400)), true),
        (format!("999{}", zeros(305)), true),
        (format!("999{}.{}", zeros(305), nines(400)), true),
        // Long in one direction, and back by the exponent.
        (format!("1{}e-400", zeros(400)), true),
        (format!("9{}e-93", zeros(400)), true),
        (format!("1{}e-92", zeros(400)), false),
        (format!("0.{}1e400", zeros(399)), true),
        (format!("0.{}9e707", zeros(399)), true),
        (format!("0.{}1e708", zeros(399)), false),
        (format!("0.{}1e99999999999", zeros(399)), false),
        ("0e99999999999".to_owned(), true),
        ("0.0e400".to_owned(), true),
        ("1e-99999999999".to_owned(), true),
    ] {
        for sign in ["", "-"] {
            for text in [
                format!("{{\"a\":{sign}{number}}}"),
                format!("{{\"a\":[{{\"b\":{sign}{number}}}]}}"),
            ] {
                assert_eq!(reads(text.as_bytes()), is_read, "{text}");
                assert_eq!(oracle(text.as_bytes()), is_read, "{text}");
            }
        }
    }
}

#[test]
fn an_object_is_one_however_deep_and_whatever_bytes_its_strings_have() {
    let nested = |depth| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let deep: Vec<String> = [1, 126, 127, 128, 4000].map(nested).into();
    let texts: [&[u8]; 5] = [
        b"{}",
        b" {\"a\":1,\"a\":\"\\ud800\"} ",
        b"{\"a\":\"\xff\"}",
        b"{\"\xc3\":[\"\xed\xa0\x80\",\"\xf0\x9f\x98\"]}",
        b"{\"a\":\"\xe2\x82\\\"\"}",
    ];
    for text in texts.into_iter().chain(deep.iter().map(String::as_bytes)) {
        assert!(is_object(text), "{}", text.escape_ascii());
    }
    for text in [
        &b""[..],
        b"[]",
        b"[{}]",
        b"{\xff}",
        b"\xff{}",
        b"{}\xff",
        b"{\xc2\xa0}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\xff}",
        b"{\"a\":\"\xff}",
        b"{\"a\":\"\\\xff\"}",
        "[".repeat(4000).as_bytes(),
    ] {
        assert!(!is_object(text), "{}", text.escape_ascii());
    }
}

#[test]
fn a_name_is_found_again_however_many_stand_between() {
    for count in [1, FEW - 1, FEW, FEW + 1, 300] {
        let names: Vec<String> = (0..count).map(|n| format!("\"n{n}\":{n}")).collect();
        let once = format!("{{{}}}", names.join(","));
        assert!(reads(once.as_bytes()), "{count}");
        for again in [0, count / 2, count - 1] {
            for name in [format!("n{again}"), format!("\\u006e{again}")] {
                let twice = format!("{{{},\"{name}\":0}}", names.join(","));
                let read = read_object(&twice, |_, _| Ok(()));
                assert_eq!(read, Err(Refused::Duplicate), "{name} of {count}");
            }
        }
    }
}

/// Texts that are JSON, or nearly: the same ones in every run.
struct Generator(u64);

impl Generator {
    /// A number below `bound` (`splitmix64`).
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn pieces(&mut self, most: usize, from: &[&str]) -> String {
        (0..=self.below(most)).map(|_| self.pick(from)).collect()
    }

    fn number(&mut self) -> String {
        let bits = (self.below(1 << 32) as u64) << 32 | self.below(1 << 32) as u64;
        match self.below(3) {
            0 => format!("{:e}", f64::from_bits(bits)),
            1 => bits.cast_signed().to_string(),
            _ => {
                let digits = ["0", "1", "9", "17"];
                let fraction = ["", ".", ".0", ".25"];
                let exponent = ["", "e", "E+", "e-", "e308", "E400", "e-9", "e+07"];
                let sign = self.pick(&["", "-"]);
                let whole = self.pieces(2, &digits);
                let fraction = self.pick(&fraction);
                format!("{sign}{whole}{fraction}{}", self.pick(&exponent))
            }
        }
    }

    fn value(&mut self, depth: usize) -> String {
        const TEXT: [&str; 14] = [
            "a",
            "b",
            "\u{e9}",
            "\\u0041",
            "\\u0063",
            "\\n",
            "\\t",
            "\\u",
            "\\x",
            "\\\"",
            "\\ud800",
            "\\udc00",
            "\\ud83d\\ude00",
            "\u{7f}",
        ];
        match self.below(if depth == 0 { 4 } else { 8 }) {
            0 => self.pick(&["null", "true", "false"]).to_owned(),
            1 => self.number(),
            2 | 3 => format!("\"{}\"", self.pieces(4, &TEXT)),
            4 | 5 => {
                let count = self.below(4);
                let all: Vec<_> = (0..count).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", all.join(","))
            }
            _ => {
                let count = self.below(4);
                let member = |generator: &mut Self| {
                    let name = generator.pick(&["", "a", "b", "\\u0061", "$"]);
                    format!("\"{name}\": {}", generator.value(depth - 1))
                };
                let all: Vec<_> = (0..count).map(|_| member(self)).collect();
                format!("{{{}}}", all.join(", "))
            }
        }
    }
}

const CASES: usize = 4000;

#[test]
fn any_json_is_read_or_refused_as_by_serde_json() {
    let mut generator = Generator(1);
    let mut read = 0;
    for _ in 0..CASES {
        let text = format!("{{\"a\":{}}}", generator.value(6));
        let reads = reads(text.as_bytes());
        assert_eq!(reads, oracle(text.as_bytes()), "{text}");
        read += usize::from(reads);
    }
    // Neither everything nor nothing: both answers are compared.
    assert!((CASES / 4..CASES * 3 / 4).contains(&read), "{read}");
}

#[test]
fn json_with_a_fault_is_read_or_refused_as_by_serde_json() {
    let mut generator = Generator(2);
    for _ in 0..CASES {
        let mut text = format!("{{\"a\":{}}}", generator.value(6)).into_bytes();
        let at = generator.below(text.len());
        text[at] = match generator.below(2) {
            0 => generator.below(256) as u8,
            _ => generator
                .pick(&[
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "0", "-", ".", "e", " ", "u",
                ])
                .as_bytes()[0],
        };
        assert_eq!(reads(&text), oracle(&text), "{}", text.escape_ascii());
        text.truncate(at);
        assert_eq!(reads(&text), oracle(&text), "{}", text.escape_ascii());
    }
}
