//! What each service takes.

/// In what a service counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// UTF-16 code units, the most that any of those counts who count characters.
    Characters,
    /// Bytes of UTF-8.
    Bytes,
}

/// What a service takes, and how it reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Longest title and text together.
    pub(super) most: usize,
    /// In what that is counted.
    pub(super) unit: Unit,
    /// Longest title.
    pub(super) title: usize,
    /// Whether the text is HTML, so that it must be escaped.
    pub(super) html: bool,
    /// Whether only an empty line breaks a line.
    pub(super) paragraphs: bool,
    /// Whether a text can call people; see [`mention`](super::mention).
    pub(super) mentions: bool,
    /// Whether `&`, `<` and `>` are written out as for HTML, and count as what is written.
    pub(super) escaped: bool,
}

/// What is left for the breaks between title and text, and what is put around them.
const SLACK: usize = 16;

impl Shape {
    /// What the service of this name takes, by its own documentation; of one that says nothing 4000 characters.
    pub(super) fn of(service: &str) -> Self {
        let plain = Self {
            most: 4000,
            unit: Unit::Characters,
            title: 200,
            html: false,
            paragraphs: false,
            mentions: false,
            escaped: false,
        };
        match service {
            // Without a parse mode that Telegram knows, tocsin sends HTML.
            "telegram" => Self { most: 4096, html: true, mentions: true, ..plain },
            "discord" => Self { most: 2000, mentions: true, ..plain },
            // A longer one is made a file by the server.
            "ntfy" => Self { most: 4096, unit: Unit::Bytes, ..plain },
            "gotify" | "homeassistant" | "pushbullet" => Self { most: 30_000, ..plain },
            // What a block of text and a header may have; a message without blocks may be longer, but is not meant to be.
            "slack" => Self { most: 3000, title: 150, mentions: true, escaped: true, ..plain },
            // 28 KB with the card around it, in JSON, which writes some characters as two.
            "workflows" => Self { most: 10_000, unit: Unit::Bytes, paragraphs: true, mentions: true, ..plain },
            "mattermost" => Self { mentions: true, ..plain },
            "rocketchat" => Self { most: 1000, mentions: true, ..plain },
            "gchat" => Self { most: 4096, unit: Unit::Bytes, mentions: true, ..plain },
            "zulip" => Self { most: 10_000, title: 60, mentions: true, ..plain },
            "pushover" => Self { most: 1024, ..plain },
            "prowl" => Self { most: 10_000, ..plain },
            "pagerduty" => Self { most: 1024, ..plain },
            // 4 KB with what is around it, in JSON.
            "bark" => Self { most: 1500, unit: Unit::Bytes, ..plain },
            // 20 KB; a longer text is refused.
            "dingtalk" | "feishu" | "lark" => Self { most: 18_000, unit: Unit::Bytes, mentions: true, ..plain },
            // 2048 bytes; a longer text is cut.
            "wecombot" => Self { most: 2048, unit: Unit::Bytes, mentions: true, ..plain },
            // Markdown of 32 KB with a title of 32 characters.
            "serverchan" => Self { most: 30_000, unit: Unit::Bytes, title: 32, paragraphs: true, ..plain },
            "signal" => Self { most: 2000, ..plain },
            _ => plain,
        }
    }

    /// How long a text is for the service.
    pub(super) fn length(&self, text: &str) -> usize {
        let written_out = |c| match c {
            '&' => "amp;".len(),
            '<' | '>' => "lt;".len(),
            _ => 0,
        };
        let more = if self.escaped { text.chars().map(written_out).sum() } else { 0 };
        more + match self.unit {
            Unit::Characters => text.encode_utf16().count(),
            Unit::Bytes => text.len(),
        }
    }

    /// How long a text may be under a title.
    pub(super) fn room(&self, title: &str) -> usize {
        self.most.saturating_sub(self.length(title) + SLACK)
    }
}
