//! my-plugin: one line per event.
const std = @import("std");
const dockbell = @import("dockbell");

pub fn configure(json: []const u8) !void {
    _ = try dockbell.config(struct {}, json);
}

pub fn format(memory: std.mem.Allocator, batch: dockbell.Batch) ![]const dockbell.Notification {
    const whose = if (batch.group.len > 0) batch.group else batch.route;
    const subject = try std.fmt.allocPrint(memory, "{d} events of {s}", .{ batch.total, whose });
    var text: std.ArrayList(u8) = .empty;
    for (batch.events) |*event| {
        const name = event.attribute("name") orelse event.actor_id.slice();
        try text.print(memory, "{s} {s} {s}\n", .{ event.engine.slice(), name, event.action.slice() });
    }
    for (batch.notes) |note| try text.print(memory, "note: {s}\n", .{note.slice()});
    return dockbell.plain(memory, subject, text.items);
}

comptime {
    dockbell.exportFormatter(@This());
}
pub const panic = dockbell.panic;

test "each event is a line" {
    var arena = std.heap.ArenaAllocator.init(std.testing.allocator);
    defer arena.deinit();
    const attributes = [_]dockbell.Pair{.{ .name = .of("name"), .value = .of("web-1") }};
    const events = [_]dockbell.Event{.{ .engine = .of("local"), .action = .of("die"), .attributes = .of(&attributes) }};
    const made = try format(arena.allocator(), .{ .route = "default", .total = 1, .events = &events });
    try std.testing.expectEqualStrings("1 events of default", made[0].subject.slice());
    try std.testing.expectEqualStrings("local web-1 die\n", made[0].alternatives.slice()[0].content.slice());
}
