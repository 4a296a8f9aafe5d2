//! Mentions: what a chat service reads as a call to somebody.
//!
//! | service | mentions in a text |
//! | --- | --- |
//! | Discord | `@everyone`, `@here`, `<@id>`, `<@!id>`, `<@&role>` |
//! | Slack | `<@id>`, `<!here>` and the like; `@here` where names are linked |
//! | Google Chat | `<users/all>`, `<users/id>` |
//! | Mattermost, Rocket.Chat | `@all`, `@channel`, `@here`, `@name`, in any case |
//! | Telegram | `@name` |
//! | Zulip | `@**name**`, `@_**name**`, `@*group*`, `@**all**` |
//! | Teams | `<at>name</at>` |
//! | Feishu, Lark | `<at user_id="all">` |
//! | DingTalk, WeCom | `@all`, `@phone`, `<@id>` |

/// Not seen, and ends a word: ZERO WIDTH SPACE.
const BREAK: char = '\u{200b}';

/// Names that some service calls even in the middle of a word.
const EVERYBODY: [&str; 4] = ["everyone", "here", "channel", "all"];

/// Tags that call somebody.
const TAGS: [&str; 3] = ["users/", "at ", "at>"];

/// Returns the text with every mention of the services above broken by a [`BREAK`]; it reads as before. Mail addresses stay
/// whole.
pub(super) fn broken(text: &str) -> String {
    let mut broken = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        broken.push(c);
        rest = &rest[c.len_utf8()..];
        let calls = match c {
            '@' => !in_address(before, rest) || starts_with_any(rest, &EVERYBODY),
            '<' => starts_with_any(rest, &TAGS),
            _ => false,
        };
        if calls {
            broken.push(BREAK);
        }
        before = c;
    }
    broken
}

/// Returns whether an `@` between these is that of a mail address. Alone it calls nobody either.
fn in_address(before: char, rest: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    match rest.chars().next() {
        Some(next) if next.is_alphanumeric() => part(before),
        next => next.is_none_or(char::is_whitespace),
    }
}

fn starts_with_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mention_is_broken() {
        // `|` stands for the break.
        for expected in [
            "@|everyone",
            "@|here",
            "@|Channel",
            "x@|everyone",
            "<@|1234>",
            "<@|!1234>",
            "<@|&1234>",
            "<|users/all>",
            "<|USERS/1234>",
            "@|somebody",
            "(@|somebody)",
            "@|**all**",
            "@|_**Ann**",
            "@|*team*",
            "<|at>Ann</at>",
            "<|at user_id=\"all\">",
            "@|13800000000",
            "@|@|all",
        ] {
            assert_eq!(broken(&expected.replace('|', "")), expected.replace('|', "\u{200b}"));
        }
    }

    #[test]
    fn addresses_and_prose_stay_as_they_are() {
        for text in ["ops@example.com", "a.b+c@x-y.example", "1 < 2", "2 @ 3", "a @", "<attention>", "<user>", "ä"] {
            assert_eq!(broken(text), text);
        }
    }
}
