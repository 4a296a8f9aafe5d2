//! Plugins that mean harm by what they make the host hold or do.

use crate::guests::{Guest, wasi_filter};

const STATE: &str = "dockbell:plugin/state@0.1.0";

/// A filter that sets and removes 2,000 keys of 4 KiB in each call, none of them twice, and accepts. It needs a `state`.
#[must_use]
pub fn churns_state() -> Guest {
    let mut guest = Guest::filter();
    for (function, ty) in [("set", "(param i32 i32 i32 i32 i32)"), ("remove", "(param i32 i32) (result i32)")] {
        guest.import(STATE, &format!("(func ${function} (import \"{STATE}\" \"{function}\") {ty})"));
    }
    // The key lies on the second page: its number in hexadecimal digits, then `k` all over.
    guest.field(
        "(global $number (mut i64) (i64.const 0))
         (func $name
           (local $at i32) (local $rest i64)
           (local.set $rest (global.get $number))
           (loop $again
             (i32.store8 (i32.add (i32.const 100000) (local.get $at))
               (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $rest) (i64.const 15)))))
             (local.set $rest (i64.shr_u (local.get $rest) (i64.const 4)))
             (local.set $at (i32.add (local.get $at) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $at) (i32.const 16))))
           (global.set $number (i64.add (global.get $number) (i64.const 1))))",
    );
    guest.accept(
        "(local $left i32)
         (memory.fill (i32.const 100000) (i32.const 107) (i32.const 4096))
         (local.set $left (i32.const 2000))
         (loop $again
           (call $name)
           (call $set (i32.const 100000) (i32.const 4096) (i32.const 0) (i32.const 0) (i32.const 32))
           (drop (call $remove (i32.const 100000) (i32.const 4096)))
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br_if $again (local.get $left)))
         (call $answer (i32.const 1))",
    );
    guest
}

/// A filter that does this in the first of its folders, `$dir`, until it fails (byte 32 is not 0) or was done 1,000 times; then
/// it answers with an error of four letters: how often it was done, and the case of the error, from `0` on. It needs `dirs`.
#[must_use]
pub fn repeats(prepare: impl Fn(&mut Guest) -> [String; 2]) -> Guest {
    let types = "filesystem/types";
    let mut guest = wasi_filter(&[
        ("filesystem/preopens", "get-directories", "directories", "(param i32)"),
        (types, "[method]descriptor.open-at", "open_at", "(param i32 i32 i32 i32 i32 i32 i32)"),
        (types, "[method]descriptor.read-via-stream", "stream", "(param i32 i64 i32)"),
        (types, "[method]descriptor.read-directory", "listing", "(param i32 i32)"),
    ]);
    guest.field(
        "(func $digit (param $at i32) (param $number i32)
           (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10)))))
         (func $say (param $done i32) (param $code i32) (result i32)
           (call $digit (i32.const 200) (i32.div_u (local.get $done) (i32.const 100)))
           (call $digit (i32.const 201) (i32.div_u (local.get $done) (i32.const 10)))
           (call $digit (i32.const 202) (local.get $done))
           (i32.store8 (i32.const 203) (i32.add (i32.const 48) (local.get $code)))
           (call $error (i32.const 200) (i32.const 4)))",
    );
    let [before, again] = prepare(&mut guest);
    guest.accept(&format!(
        "(local $dir i32) (local $file i32) (local $done i32)
         (call $directories (i32.const 32))
         (local.set $dir (i32.load (i32.load (i32.const 32))))
         {before}
         (loop $again
           {again}
           (if (i32.eqz (i32.load8_u (i32.const 32))) (then
             (local.set $done (i32.add (local.get $done) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $done) (i32.const 1000))))))
         (call $say (local.get $done) (i32.load8_u (i32.const 36)))"
    ));
    guest
}

/// A call that opens a file of `$dir`, for [`repeats`]; the file is left at 36.
#[must_use]
pub fn open(guest: &mut Guest, path: &str) -> String {
    let path = guest.text(path);
    format!("(call $open_at (local.get $dir) (i32.const 1) {path} (i32.const 0) (i32.const 1) (i32.const 32))")
}

/// A filter that opens a file again and again and closes it never. It needs `dirs`.
#[must_use]
pub fn hoards_files(path: &str) -> Guest {
    repeats(|guest| [String::new(), open(guest, path)])
}

/// A filter that makes requests without end, and writes into their bodies as much as is taken at once. It needs `http`.
#[must_use]
pub fn hoards_bodies() -> Guest {
    let types = "http/types";
    let mut guest = wasi_filter(&[
        (types, "[constructor]fields", "fields", "(result i32)"),
        (types, "[constructor]outgoing-request", "request", "(param i32) (result i32)"),
        (types, "[method]outgoing-request.body", "body", "(param i32 i32)"),
        (types, "[method]outgoing-body.write", "write", "(param i32 i32)"),
        ("io/streams", "[method]output-stream.check-write", "check", "(param i32 i32)"),
        ("io/streams", "[method]output-stream.write", "put", "(param i32 i32 i32 i32)"),
    ]);
    guest.accept(
        "(local $out i32)
         (if (i32.lt_u (memory.size) (i32.const 20)) (then (drop (memory.grow (i32.const 20)))))
         (loop $again
           (call $body (call $request (call $fields)) (i32.const 32))
           (call $write (i32.load (i32.const 36)) (i32.const 32))
           (local.set $out (i32.load (i32.const 36)))
           (call $check (local.get $out) (i32.const 32))
           (call $put (local.get $out) (i32.const 65536) (i32.load (i32.const 40)) (i32.const 32))
           (br $again))
         unreachable",
    );
    guest
}

/// Lines of the HTML of [`formats_empty_lines`]: as many as find room in a mail beside its text.
pub const HTML_LINES: usize = 230_000;

/// A formatter whose 16 messages are half a mebibyte of line breaks each, in two forms: 250,000 empty lines of text, and
/// [`HTML_LINES`] of HTML. The last line of each is not empty, so that the others count. It needs 4 MiB of memory.
#[must_use]
pub fn formats_empty_lines() -> Guest {
    let mut guest = Guest::formatter();
    let (subject, plain, html) = (guest.text("subject"), guest.text("text/plain"), guest.text("text/html"));
    guest.field(
        "(func $pair (param $at i32) (param $text i32) (param $len i32)
           (i32.store (local.get $at) (local.get $text))
           (i32.store offset=4 (local.get $at) (local.get $len)))",
    );
    let (end_of_text, end_of_html) = (1_048_576 + 250_000 - 1, 1_048_576 + HTML_LINES - 1);
    // The line breaks begin at 1 MiB, the messages at 40,000; all of them have the same two forms, at 300.
    guest.format(&format!(
        "(local $at i32)
         (if (i32.lt_u (memory.size) (i32.const 32)) (then (drop (memory.grow (i32.const 32)))))
         (memory.fill (i32.const 1048576) (i32.const 10) (i32.const 500000))
         (i32.store8 (i32.const {end_of_text}) (i32.const 120)) (i32.store8 (i32.const {end_of_html}) (i32.const 120))
         (call $pair (i32.const 300) {plain}) (call $pair (i32.const 308) (i32.const 1048576) (i32.const 250000))
         (call $pair (i32.const 316) {html}) (call $pair (i32.const 324) (i32.const 1048576) (i32.const {HTML_LINES}))
         (local.set $at (i32.const 40000))
         (loop $again
           (call $pair (local.get $at) {subject})
           (call $pair (i32.add (local.get $at) (i32.const 8)) (i32.const 300) (i32.const 2))
           (call $pair (i32.add (local.get $at) (i32.const 16)) (i32.const 0) (i32.const 0))
           (local.set $at (i32.add (local.get $at) (i32.const 24)))
           (br_if $again (i32.lt_u (local.get $at) (i32.const 40384))))
         (call $list (i32.const 40000) (i32.const 16))"
    ));
    guest
}
