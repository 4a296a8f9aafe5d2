//! my-plugin: tells only containers that ended with an exit code of their own.
const std = @import("std");
const dockbell = @import("dockbell");

const Config = struct {
    /// The lowest exit code that is told.
    lowest: u8 = 1,
};

var settings: Config = .{};

pub fn configure(json: []const u8) !void {
    settings = try dockbell.config(Config, json);
}

pub fn accept(event: *const dockbell.Event) !bool {
    if (!event.isAction("die")) return false;
    const code = event.attribute("exitCode") orelse return false;
    const number = std.fmt.parseInt(u8, code, 10) catch return dockbell.fail("`{s}` is not an exit code", .{code});
    return number >= settings.lowest;
}

comptime {
    dockbell.exportFilter(@This());
}
pub const panic = dockbell.panic;

test "only containers that failed are told" {
    try configure("{}");
    const failed = [_]dockbell.Pair{.{ .name = .of("exitCode"), .value = .of("1") }};
    var event = dockbell.Event{ .action = .of("die"), .attributes = .of(&failed) };
    try std.testing.expect(try accept(&event));
    event.action = .of("start");
    try std.testing.expect(!try accept(&event));
}

test "an unknown key is an error that names it" {
    try std.testing.expectError(error.Told, configure("{\"low\": 2}"));
    try std.testing.expectEqualStrings("unknown key `low`; there is `lowest`", dockbell.told());
}
