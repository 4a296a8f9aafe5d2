//! Templates for the body of a webhook.

use std::fmt;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Value, context};

use super::problem::Mistake;

/// Steps that rendering may take: some thousand for a large template; a loop without end is stopped.
const FUEL: u64 = 1_000_000;

/// The largest body that a template may make: 4 MiB.
const LARGEST: usize = 4 << 20;

const NAME: &str = "template";

/// What may stand in a template: the fields of [`Told`], and a function.
const KNOWN: [&str; 10] = ["id", "route", "group", "phase", "time", "total", "subject", "text", "fields", "range"];

/// What a template sees of a message.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// Id of the message.
    pub id: String,
    /// Name of the route.
    pub route: &'a str,
    /// Group of the batch.
    pub group: &'a str,
    /// `first`, `digest` or `closing`.
    pub phase: &'a str,
    /// When it was made, as `2026-11-22T12:00:00Z`.
    pub time: String,
    /// How many events it tells.
    pub total: u32,
    /// One line.
    pub subject: &'a str,
    /// The plain text.
    pub text: &'a str,
    /// What the formatter said beside, such as `severity`.
    pub fields: std::collections::BTreeMap<&'a str, &'a str>,
}

impl Told<'_> {
    fn context(&self) -> Value {
        context! {
            id => self.id.as_str(),
            route => self.route,
            group => self.group,
            phase => self.phase,
            time => self.time.as_str(),
            total => self.total,
            subject => self.subject,
            text => self.text,
            fields => Value::from_pairs(self.fields.iter().map(|(name, value)| (*name, *value))),
        }
    }
}

/// A template in the language of Jinja. `{{ text }}` becomes JSON by itself, with its quotation marks, where the body is
/// JSON; the filter `tojson` does the same. A field that a message does not have is `null`.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    is_json: bool,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("is_json", &self.is_json).finish_non_exhaustive()
    }
}

impl Template {
    /// Reads a template, and tries it on a message.
    ///
    /// # Errors
    /// A template that cannot be read, names what there is not, or does not make JSON where `is_json` is set.
    pub fn new(text: String, is_json: bool) -> Result<Self, Mistake> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(move |_| if is_json { AutoEscape::Json } else { AutoEscape::None });
        environment.set_fuel(Some(FUEL));
        let added = environment.add_template_owned(NAME, text);
        added.map_err(|error| Mistake::new(described(&error), "write `{{ subject }}`, `{% if … %}…{% endif %}`"))?;
        let template = Self { environment: Arc::new(environment), is_json };
        let fields = [("severity", "error")].into();
        let sample = Told {
            id: "01HQZX3M8N0000000000000000".to_owned(),
            route: "default",
            group: "shop/web",
            phase: "first",
            time: "2026-11-22T12:00:00Z".to_owned(),
            total: 1,
            subject: "\"web\" crashed",
            text: "\"web\" crashed\nexit code 137",
            fields,
        };
        let hint = "`id`, `route`, `group`, `phase`, `time`, `total`, `subject`, `text` and `fields` are known; \
                    a body of JSON is written such as `{\"text\": {{ text }}}`, without quotation marks around the braces";
        let unknown = template.environment.get_template(NAME).map(|template| template.undeclared_variables(false));
        let mut unknown = unknown.map_err(|error| Mistake::plain(described(&error)))?;
        unknown.retain(|name| !KNOWN.contains(&name.as_str()));
        if let Some(name) = unknown.into_iter().min() {
            return Err(Mistake::new(format!("the template names `{name}`, which there is not"), hint));
        }
        template.render(&sample).map_err(|error| Mistake::new(error, hint))?;
        Ok(template)
    }

    /// The body that tells a message.
    ///
    /// # Errors
    /// What the template did, in one line.
    pub fn render(&self, told: &Told<'_>) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|error| described(&error))?;
        let body = template.render(told.context()).map_err(|error| described(&error))?;
        if body.len() > LARGEST {
            return Err(format!("the template makes more than {} MiB", LARGEST >> 20));
        }
        if self.is_json
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body)
        {
            return Err(format!("the template does not make JSON: {error}"));
        }
        Ok(body)
    }
}

fn described(error: &minijinja::Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!(" in its line {line}"));
    let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
    format!("the template has a mistake{line}: {}{detail}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(subject: &'a str) -> Told<'a> {
        Told {
            id: "1".to_owned(),
            route: "r",
            group: "",
            phase: "first",
            time: "t".to_owned(),
            total: 3,
            subject,
            text: subject,
            fields: [("severity", "error")].into(),
        }
    }

    #[test]
    fn values_are_json_without_anything_being_written_for_it() {
        let template = Template::new(
            r#"{"a": {{ subject }}, "n": {{ total }}, "s": {{ fields.severity|tojson }}, "f": {{ fields }}}"#
                .to_owned(),
            true,
        );
        let body = template.unwrap().render(&told("x\"}, {\"evil\n</script>")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["a"], "x\"}, {\"evil\n</script>");
        assert_eq!((&value["n"], &value["s"]), (&3.into(), &"error".into()));
        assert_eq!(value["f"]["severity"], "error");
    }

    #[test]
    fn a_body_that_is_not_json_has_its_values_as_they_are() {
        let template = Template::new("{{ subject }}!".to_owned(), false).unwrap();
        assert_eq!(template.render(&told("a\"b")).unwrap(), "a\"b!");
    }

    #[test]
    fn mistakes_are_found_before_the_first_message() {
        for (text, what) in [
            ("{{ subject", "the template has a mistake in its line 1"),
            ("{\"a\": {{ subjekt }}}", "names `subjekt`, which there is not"),
            ("{\"a\": \"{{ subject }}\"}", "does not make JSON"),
            ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}1", "fuel"),
        ] {
            let mistake = Template::new(text.to_owned(), true).unwrap_err().to_string();
            assert!(mistake.contains(what) && mistake.contains("hint:"), "{mistake}");
        }
    }
}
