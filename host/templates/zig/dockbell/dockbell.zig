//! Filters and formatters for dockbell in Zig. The structs lie in memory as the interface (wit/v0.1) passes them, so that nothing
//! is copied or converted. Renewed by `dockbell plugin build`.
const std = @import("std");
const is_wasm = @import("builtin").target.cpu.arch == .wasm32;

/// A list as dockbell passes it; `slice()` is what Zig wants.
pub fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T = undefined,
        len: usize = 0,

        pub fn of(items: []const T) @This() {
            return .{ .ptr = items.ptr, .len = items.len };
        }

        pub fn slice(self: @This()) []const T {
            return if (self.len == 0) &.{} else self.ptr[0..self.len];
        }
    };
}

/// UTF-8.
pub const String = List(u8);
pub const Pair = extern struct { name: String, value: String };

/// One event; wit/v0.1/types.wit says what each part means.
pub const Event = extern struct {
    engine: String = .{},
    kind: String = .{},
    action: String = .{},
    detail: String = .{},
    actor_id: String = .{},
    scope: String = .{},
    time_nanos: i64 = 0,
    attributes: List(Pair) = .{},
    facts: List(Pair) = .{},

    /// The value of an attribute. Labels are attributes, so whoever builds an image can forge each but `name` and `image`.
    pub fn attribute(self: *const Event, name: []const u8) ?[]const u8 {
        return find(self.attributes, name);
    }

    /// The value of a fact that dockbell found out itself.
    pub fn fact(self: *const Event, name: []const u8) ?[]const u8 {
        return find(self.facts, name);
    }

    pub fn isAction(self: *const Event, action: []const u8) bool {
        return std.mem.eql(u8, self.action.slice(), action);
    }
};

pub const Count = extern struct { what: String, count: u32 };

/// What one message is made of.
pub const Batch = struct {
    route: []const u8 = "",
    group: []const u8 = "",
    phase: []const u8 = "first",
    since_nanos: i64 = 0,
    until_nanos: i64 = 0,
    total: u32 = 0,
    counts: []const Count = &.{},
    events: []const Event = &.{},
    notes: []const String = &.{},
};

pub const Alternative = extern struct { media_type: String, content: String };
pub const Notification = extern struct {
    subject: String,
    alternatives: List(Alternative),
    fields: List(Pair) = .{},
};

/// One message of plain text; the texts may be of `memory`.
pub fn plain(memory: std.mem.Allocator, subject: []const u8, text: []const u8) ![]const Notification {
    const forms = try memory.dupe(Alternative, &.{.{ .media_type = String.of("text/plain"), .content = String.of(text) }});
    return memory.dupe(Notification, &.{.{ .subject = String.of(subject), .alternatives = List(Alternative).of(forms) }});
}

/// Memory that is kept, for what `configure` makes and for state.
pub const kept: std.mem.Allocator = if (is_wasm) std.heap.wasm_allocator else std.heap.page_allocator;

/// The reason of an error, for people: `return dockbell.fail("unknown key `{s}`", .{key});`
pub fn fail(comptime format: []const u8, values: anytype) error{Told} {
    reason = std.fmt.bufPrint(&reason_buffer, format, values) catch "the reason of the error is too long";
    return error.Told;
}

/// What `fail` said last, for tests.
pub fn told() []const u8 {
    return reason;
}

/// The configuration as a struct. A key that is none of its fields is an error; a field with a default may be missing.
pub fn config(comptime T: type, json: []const u8) !T {
    const tree = std.json.parseFromSlice(std.json.Value, kept, json, .{}) catch return fail("`config` cannot be read as JSON", .{});
    if (tree.value != .object) return fail("`config` is no table", .{});
    keys: for (tree.value.object.keys()) |key| {
        inline for (comptime std.meta.fieldNames(T)) |field| {
            if (std.mem.eql(u8, key, field)) continue :keys;
        }
        return fail("unknown key `{s}`; there is {s}", .{ key, comptime names(T) });
    }
    var made: T = .{};
    inline for (comptime std.meta.fieldNames(T)) |field| {
        if (tree.value.object.get(field)) |value| {
            @field(made, field) = std.json.parseFromValueLeaky(@FieldType(T, field), kept, value, .{}) catch
                return fail("`{s}` has a value of the wrong kind", .{field});
        }
    }
    return made;
}

pub const Level = enum(i32) { trace, debug, info, warn, @"error" };

/// A line in dockbell's log, under the plugin's name.
pub fn log(level: Level, comptime format: []const u8, values: anytype) void {
    var buffer: [1024]u8 = undefined;
    const line = std.fmt.bufPrint(&buffer, format, values) catch &buffer;
    if (is_wasm) host.log(@intFromEnum(level), line.ptr, line.len) else std.debug.print("{s}\n", .{line});
}

/// What a panic does: its text goes to dockbell's log, and the call ends. For `pub const panic = dockbell.panic;`
pub const panic = std.debug.FullPanic(struct {
    fn call(text: []const u8, _: ?usize) noreturn {
        if (is_wasm) host.log(@intFromEnum(Level.@"error"), text.ptr, text.len);
        @trap();
    }
}.call);

/// Exports a filter: `pub fn configure(json: []const u8) !void` and `pub fn accept(event: *const dockbell.Event) !bool`.
pub fn exportFilter(comptime Plugin: type) void {
    if (!is_wasm) return;
    exportSetup(Plugin);
    const exported = struct {
        fn accept(event: *const Event) callconv(.c) *const Answer {
            const pass = Plugin.accept(event) catch |failed| return ended(failed);
            answer.of = .{ .pass = pass };
            return ended(null);
        }

        /// The same event with all its texts in one.
        fn acceptPacked(
            text: [*]const u8,
            _: usize,
            ends: [*]const u32,
            ends_len: usize,
            attributes: u32,
            time_nanos: i64,
        ) callconv(.c) *const Answer {
            var texts = Texts{ .text = text, .ends = ends[0 .. ends_len / @sizeOf(u32)] };
            var event = Event{ .time_nanos = time_nanos };
            inline for (.{ "engine", "kind", "action", "detail", "actor_id", "scope" }) |field| {
                @field(event, field) = texts.next();
            }
            const pairs = arena.allocator().alloc(Pair, texts.ends.len / 2) catch @panic("out of memory");
            for (pairs) |*pair| {
                pair.name = texts.next();
                pair.value = texts.next();
            }
            event.attributes = List(Pair).of(pairs[0..attributes]);
            event.facts = List(Pair).of(pairs[attributes..]);
            return accept(&event);
        }
    };
    @export(&exported.accept, .{ .name = "dockbell:plugin/filter@0.1.0#accept" });
    @export(&exported.acceptPacked, .{ .name = "dockbell:plugin/packed-filter@0.1.0#accept" });
}

/// Exports a formatter: `configure` as for a filter, and `pub fn format(memory: std.mem.Allocator, batch: dockbell.Batch)
/// ![]const dockbell.Notification`. `memory` lasts until the next call.
pub fn exportFormatter(comptime Plugin: type) void {
    if (!is_wasm) return;
    exportSetup(Plugin);
    const exported = struct {
        fn format(
            route: [*]const u8,
            route_len: usize,
            group: [*]const u8,
            group_len: usize,
            phase: [*]const u8,
            phase_len: usize,
            since_nanos: i64,
            until_nanos: i64,
            total: u32,
            counts: [*]const Count,
            counts_len: usize,
            events: [*]const Event,
            events_len: usize,
            notes: [*]const String,
            notes_len: usize,
        ) callconv(.c) *const Answer {
            const made = Plugin.format(arena.allocator(), .{
                .route = route[0..route_len],
                .group = group[0..group_len],
                .phase = phase[0..phase_len],
                .since_nanos = since_nanos,
                .until_nanos = until_nanos,
                .total = total,
                .counts = counts[0..counts_len],
                .events = events[0..events_len],
                .notes = notes[0..notes_len],
            }) catch |failed| return ended(failed);
            answer.of = .{ .messages = List(Notification).of(made) };
            return ended(null);
        }
    };
    @export(&exported.format, .{ .name = "dockbell:plugin/formatter@0.1.0#format" });
}

/// Texts that lie one behind the other.
const Texts = struct {
    text: [*]const u8,
    /// Where those that are left end.
    ends: []const u32,
    start: u32 = 0,

    fn next(self: *Texts) String {
        const end = self.ends[0];
        defer {
            self.ends = self.ends[1..];
            self.start = end;
        }
        return String.of(self.text[self.start..end]);
    }
};

fn exportSetup(comptime Plugin: type) void {
    const exported = struct {
        fn configure(ptr: [*]const u8, len: usize) callconv(.c) *const Answer {
            Plugin.configure(ptr[0..len]) catch |failed| return ended(failed);
            return ended(null);
        }
    };
    @export(&exported.configure, .{ .name = "dockbell:plugin/setup@0.1.0#configure" });
    @export(&realloc, .{ .name = "cabi_realloc" });
}

const host = struct {
    extern "dockbell:plugin/logging@0.1.0" fn log(level: i32, ptr: [*]const u8, len: usize) void;
};

/// A `result` whose error is a text.
const Answer = extern struct {
    is_error: u8 = 0,
    of: extern union { pass: bool, text: String, messages: List(Notification) } = .{ .pass = false },
};

var answer: Answer = .{};
var reason: []const u8 = "";
var reason_buffer: [1024]u8 = undefined;
/// Memory for what a call is given and what it makes; all of it is free again when the next call begins.
var arena = std.heap.ArenaAllocator.init(kept);
var over = false;

fn ended(failed: ?anyerror) *const Answer {
    over = true;
    answer.is_error = @intFromBool(failed != null);
    if (failed) |err| answer.of = .{ .text = String.of(if (err == error.Told) reason else @errorName(err)) };
    return &answer;
}

/// How dockbell asks for memory (`realloc` of the canonical ABI). It never makes anything larger.
fn realloc(_: ?[*]u8, _: usize, _: usize, bytes: usize) callconv(.c) *anyopaque {
    if (over) {
        over = false;
        _ = arena.reset(.{ .retain_with_limit = 1 << 20 });
    }
    const made = arena.allocator().alignedAlloc(u8, .@"8", @max(bytes, 1)) catch @panic("out of memory");
    return made.ptr;
}

fn find(pairs: List(Pair), name: []const u8) ?[]const u8 {
    for (pairs.slice()) |pair| {
        if (std.mem.eql(u8, pair.name.slice(), name)) return pair.value.slice();
    }
    return null;
}

fn names(comptime T: type) []const u8 {
    var list: []const u8 = "";
    for (std.meta.fieldNames(T)) |field| list = list ++ (if (list.len == 0) "`" else ", `") ++ field ++ "`";
    return if (list.len == 0) "none" else list;
}
