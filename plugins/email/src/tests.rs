//! Mails as their readers see them.

use dockbell_plugin::{Batch, Event, Formatter, Notification};

use super::Email;

mod forms;
mod sample;
mod subjects;

use sample::{bad_evening, batch, container, large, one_crash, pairs, trouble_ended};

/// The mail that a batch becomes, with the configuration as JSON.
fn mail(config: &str, batch: &Batch) -> Notification {
    let mut mails = Email::configure(config).unwrap().format(batch).unwrap();
    assert_eq!(mails.len(), 1);
    mails.remove(0)
}

fn text(mail: &Notification) -> &str {
    form(mail, "text/plain")
}

fn html(mail: &Notification) -> &str {
    form(mail, "text/html")
}

fn form<'a>(mail: &'a Notification, media_type: &str) -> &'a str {
    &mail.alternatives.iter().find(|form| form.media_type == media_type).unwrap().content
}

fn severity(mail: &Notification) -> &str {
    let [(name, value)] = mail.fields.as_slice() else { panic!("one field: {:?}", mail.fields) };
    assert_eq!(name, "severity");
    value
}

/// Subject and texts in one, for what must be nowhere.
fn everything(mail: &Notification) -> String {
    format!("{}\n{}\n{}", mail.subject, text(mail), html(mail))
}

#[test]
fn a_single_crash_is_told_in_words() {
    let mail = mail(r#"{"hostname": "web-host-1", "timezone": "+02:00"}"#, &one_crash());
    assert_eq!(mail.subject, "[web-host-1] shop-web-1 crashed (exit 137)");
    assert_eq!(severity(&mail), "error");
    assert_eq!(
        text(&mail),
        "\
shop-web-1 crashed (exit 137)

2026-11-22, UTC+02:00, engine local
09:11:24  shop-web-1  crashed (exit 137)  registry.example/shop/web:1.4.2
            service shop/web · ran for 5m 12s · restarted 3 times in 10 minutes
            com.example.owner: team-shop@example.org
            log-tail:
            | listening on :8080
            | fatal: cannot allocate memory
            | at main.go:12
            | exit

Route default, group shop/web, 2026-11-22 09:11:24 UTC+02:00. Told by dockbell.
"
    );
}

#[test]
fn a_digest_counts_then_tells_each_event_then_the_notes() {
    let mail = mail(r#"{"hostname": "web-host-1", "timezone": "+02:00"}"#, &bad_evening());
    assert_eq!(
        mail.subject,
        "[web-host-1] 12 events: shop-web-1 crashed (exit 137), shop-db-1 is unhealthy, engine local lost and 9 more"
    );
    assert_eq!(severity(&mail), "error");
    assert_eq!(
        text(&mail),
        "\
12 events: shop-web-1 crashed (exit 137), shop-db-1 is unhealthy, shop-web-1 keeps crashing (exit 1) ×2, \
engine local lost, shop-cache-1 hit its memory limit, shop-web-1 start and 5 more

  4  container die
  2  container health_status
  1  network disconnect
  1  container start
  1  container oom
  1  container kill
  1  container exec_start
  1  dockbell engine_lost

2026-11-22, UTC+02:00, engine local
09:11:24  shop-web-1            crashed (exit 137)       registry.example/shop/web:1.4.2
            service shop/web · ran for 5m 12s
09:11:25  network shop_default  disconnect
            container: 3f2a9c013f2a · type: bridge
09:11:26  shop-web-1            start                    registry.example/shop/web:1.4.2
            service shop/web
09:11:27  shop-cache-1          hit its memory limit     redis:7
09:11:28  shop-db-1             is unhealthy             postgres:16
            service shop/db · com.example.note: <b>watch</b> & \"learn\" �[31mred�[0m
09:11:33  shop-web-1            keeps crashing (exit 1)  registry.example/shop/web:1.4.2
            service shop/web · restarted 4 times in 10 minutes
09:11:39  shop-web-1            keeps crashing (exit 1)  registry.example/shop/web:1.4.2
            service shop/web · restarted 4 times in 10 minutes
09:11:44  backup                kill (SIGKILL)           backup:latest
09:11:45  backup                was stopped              backup:latest
            exit 143 · ran for 1d 0h
09:11:54  shop-db-1             exec_start (sh)          postgres:16
09:12:29  shop-db-1             is healthy (recovered after 1m 1s)  postgres:16
09:12:34  dockbell              engine local lost
            reason: connection refused

*** PLEASE NOTE ***
  ! From 09:12:40 to 09:12:52 the engine could not be read: what happened then is not known.
  ! 2 events are told late.

Route default, 2026-11-22 09:11:24 to 09:12:34 UTC+02:00. Told by dockbell.
"
    );
}

#[test]
fn the_end_of_trouble_is_said_to_be_one() {
    let mail = mail("{}", &trouble_ended());
    assert_eq!(mail.subject, "[local] trouble ended: shop-web-1 start (recovered after 1h 6m)");
    assert_eq!(severity(&mail), "info");
    let several = Batch { total: 7, ..trouble_ended() };
    assert_eq!(
        super::tests::mail("{}", &several).subject,
        "[local] trouble ended, 7 events: shop-web-1 start (recovered after 1h 6m) and 6 more"
    );
}

#[test]
fn of_ten_thousand_events_the_first_and_the_last_are_told_and_all_are_counted() {
    let batch = large(10_000);
    let mail = mail("{}", &batch);
    let text = text(&mail);
    assert!(text.starts_with("10000 events: shop-worker-0 crashed (exit 1) ×15, "), "{text}");
    assert!(text.contains("\n  10000  container die\n"));
    let (before, after) = text.split_once("\n… 9900 events between are counted above but not shown …\n").unwrap();
    assert_eq!(before.matches("  crashed (exit 1)  ").count(), 50);
    assert_eq!(after.matches("  crashed (exit 1)  ").count(), 50);
    let html = html(&mail);
    let (before, after) = html.split_once("… 9900 events between are counted above but not shown …").unwrap();
    assert_eq!(before.matches(">crashed (exit 1)<").count(), 50);
    assert_eq!(after.matches(">crashed (exit 1)<").count(), 50);
    // Gmail shows the first 102 KB of a message and hides the rest behind a link.
    assert!(html.len() < 100_000, "{} bytes", html.len());
}

#[test]
fn a_batch_that_holds_all_its_events_leaves_none_out() {
    for batch in [one_crash(), bad_evening(), large(100)] {
        assert!(!everything(&mail("{}", &batch)).contains("not shown"));
    }
    let odd = Batch { events: large(100).events[..3].to_vec(), total: 4, ..large(100) };
    let mail = mail("{}", &odd);
    let (before, after) = text(&mail)
        .split_once("… 1 event between is counted above but not shown …")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!((before.matches("shop/worker").count(), after.matches("shop/worker").count()), (2, 1));
}

#[test]
fn the_labels_of_some_containers_push_no_other_event_out_of_a_mail() {
    let mut batch = large(100);
    for (place, event) in batch.events.iter_mut().enumerate() {
        // Every second one: as many and as long as are shown at all, and each character has four bytes.
        if place % 2 == 0 {
            event.attributes.extend((0..100).map(|label| (format!("label-{label}"), "🐙".repeat(500))));
        } else {
            event.attributes.push(("team".to_owned(), "ops".to_owned()));
        }
        event.attributes.retain(|(name, _)| name != "name");
        event.attributes.push(("name".to_owned(), format!("c-{place}.")));
    }
    let mail = mail("{}", &batch);
    let quoted = |text: &str| text.bytes().map(|byte| if byte.is_ascii() { 1 } else { 3 }).sum::<usize>();
    // The host cuts the text at 512 KiB, as it is sent.
    assert!(quoted(text(&mail)) < 200 << 10, "{}", quoted(text(&mail)));
    assert!(quoted(text(&mail)) + quoted(html(&mail)) < 600 << 10, "{}", quoted(html(&mail)));
    for place in 0..100 {
        assert!(text(&mail).contains(&format!("c-{place}. ")), "{place}");
        assert!(html(&mail).contains(&format!("c-{place}.<")), "{place}");
    }
    assert_eq!(text(&mail).matches("team: ops").count(), 50, "whoever has little keeps it");
    assert!(text(&mail).contains("label-0: ") && text(&mail).contains(" more\n"));
}

#[test]
fn a_batch_without_events_still_tells_its_notes() {
    let empty = Batch { notes: vec!["a gap of 3 s".into()], ..Batch::default() };
    let told = mail("{}", &empty);
    assert_eq!(told.subject, "[dockbell] a gap of 3 s");
    assert_eq!(severity(&told), "warning");
    assert!(text(&told).contains("*** PLEASE NOTE ***\n  ! a gap of 3 s\n"));
    assert!(html(&told).contains("<b>Please note</b><div style=\"padding-top:4px\">a gap of 3 s</div>"));
    let closing = Batch { phase: "closing".into(), group: "shop/web".into(), ..Batch::default() };
    let told = mail("{}", &closing);
    assert_eq!((told.subject.as_str(), severity(&told)), ("[dockbell] trouble ended (shop/web)", "info"));
}

#[test]
fn a_container_that_has_given_up_is_named_in_the_subject() {
    let note = "shop-web-1 (local): stopped restarting after 6 restarts, exit code 3, 10m ago";
    let given_up =
        Batch { phase: "digest".into(), group: "shop/web".into(), notes: vec![note.into()], ..Batch::default() };
    let told = mail("{}", &given_up);
    assert_eq!(told.subject, format!("[dockbell] {note} (shop/web)"));
    assert_eq!(severity(&told), "warning");
}

#[test]
fn days_and_engines_are_told_where_they_change() {
    let mut batch = bad_evening();
    batch.events.truncate(1);
    let mut other = batch.events[0].clone();
    other.engine = "far".into();
    other.time_nanos += 86_400 * sample::SECOND;
    batch.events.push(other);
    let mail = mail("{}", &batch);
    let text = text(&mail);
    assert!(text.contains("\n2026-11-22, UTC\n07:11:24  shop-web-1"), "{text}");
    assert!(text.contains("\n\n2026-11-23, UTC\n07:11:24  shop-web-1"), "{text}");
    assert!(text.contains("            engine local · service shop/web"), "{text}");
    assert!(text.contains("            engine far · service shop/web"), "{text}");
    assert!(html(&mail).contains("engine far · service shop/web"));
}

#[test]
fn times_follow_the_configured_zone() {
    for (config, time) in [
        ("{}", "2026-11-22, UTC, engine local\n07:11:24"),
        (r#"{"timezone": "utc", "utc-offset-seconds": 3600}"#, "2026-11-22, UTC, engine local\n07:11:24"),
        (r#"{"utc-offset-seconds": 3600}"#, "2026-11-22, UTC+01:00, engine local\n08:11:24"),
        (r#"{"timezone": "-09:30"}"#, "2026-11-21, UTC-09:30, engine local\n21:41:24"),
    ] {
        let mail = mail(config, &one_crash());
        assert!(text(&mail).contains(time), "{config}: {}", text(&mail));
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for (config, begins) in [
        ("", "the configuration is not JSON: "),
        ("[]", "the configuration is not a table"),
        (
            r#"{"timezon": "utc"}"#,
            "timezon: unknown key\nhint: the keys here are `engine-in-subject`, `hostname`, `timezone`",
        ),
        (r#"{"hostname": 3}"#, "hostname: a string is needed, not 3"),
        (r#"{"timezone": 2}"#, "timezone: a string is needed, not 2"),
        (r#"{"timezone": "Europe/Berlin"}"#, "timezone: `Europe/Berlin` is no offset"),
        (
            r#"{"utc-offset-seconds": "3600"}"#,
            "utc-offset-seconds: whole seconds of less than a day are needed, not \"3600\"",
        ),
        (r#"{"utc-offset-seconds": 86400}"#, "utc-offset-seconds: whole seconds of less than a day"),
        (r#"{"utc-offset-seconds": 0.5}"#, "utc-offset-seconds: whole seconds"),
    ] {
        let refusal = Email::configure(config).err().unwrap_or_else(|| panic!("{config}: not refused"));
        assert!(refusal.starts_with(begins), "{config}: {refusal}");
    }
}

#[test]
fn the_times_of_a_gap_are_shown_to_the_second() {
    let attributes = pairs(&[("from", "2026-11-22T12:00:00.123456789Z"), ("to", "2026-11-22T12:00:09Z")]);
    let event = container(0, "web-1", "shop", "die", &[]);
    let gap = Event { kind: "dockbell".into(), action: "gap".into(), attributes, ..event };
    let told = mail("{}", &batch("first", vec![gap]));
    for form in [text(&told), html(&told)] {
        assert!(form.contains("2026-11-22T12:00:00Z") && form.contains("2026-11-22T12:00:09Z"), "{form}");
        assert!(!form.contains(".123456789"), "{form}");
    }
}
