//! image-policy: lets those events pass that start a container of an image that the policy does not allow.
const std = @import("std");
const dockbell = @import("dockbell");

const Config = struct {
    /// Registries, or paths in them (`docker.io/library`, `registry.example.com/acme`), from which images may come; empty: all.
    allowed: []const []const u8 = &.{},
    /// Tags that are not allowed; an image without a tag has `latest`.
    @"forbidden-tags": []const []const u8 = &.{"latest"},
    /// Whether an image must be pinned by its digest (`@sha256:...`).
    digest: bool = false,
    /// When to look.
    actions: []const []const u8 = &.{ "create", "start" },
};

var policy: Config = .{};

pub fn configure(json: []const u8) !void {
    policy = try dockbell.config(Config, json);
    for (policy.allowed) |path| {
        if (path.len == 0 or path[path.len - 1] == '/')
            return dockbell.fail("`allowed` has `{s}`; write a registry or a path in it, such as `registry.example.com/acme`", .{path});
    }
}

pub fn accept(event: *const dockbell.Event) !bool {
    if (!std.mem.eql(u8, event.kind.slice(), "container") or !contains(policy.actions, event.action.slice())) return false;
    const name = event.attribute("image") orelse return dockbell.fail("the event names no image", .{});
    const broken = judge(Image.of(name)) orelse return false;
    dockbell.log(.info, "{s}: {s}", .{ name, broken });
    return true;
}

/// What the policy has against an image.
fn judge(image: Image) ?[]const u8 {
    if (policy.allowed.len > 0 and !image.isBelow(policy.allowed)) return "not from an allowed registry";
    if (policy.digest and image.digest.len == 0) return "not pinned by its digest";
    // A digest says what runs, whatever the tag beside it is.
    if (image.digest.len == 0 and contains(policy.@"forbidden-tags", image.tag)) return "a tag that is not allowed";
    return null;
}

/// The parts of an image's name, as Docker reads them.
const Image = struct {
    registry: []const u8,
    /// Docker's own images are in `library`.
    official: bool,
    path: []const u8,
    tag: []const u8,
    digest: []const u8,

    fn of(name: []const u8) Image {
        var rest = name;
        var image = Image{ .registry = "docker.io", .official = false, .path = "", .tag = "latest", .digest = "" };
        if (std.mem.indexOfScalar(u8, rest, '@')) |at| {
            image.digest = rest[at + 1 ..];
            rest = rest[0..at];
        } else if (std.mem.startsWith(u8, rest, "sha256:")) {
            // An image without a name, by its id.
            return .{ .registry = "", .official = false, .path = "", .tag = "", .digest = rest };
        }
        if (std.mem.indexOfScalar(u8, rest, '/')) |slash| {
            const first = rest[0..slash];
            if (std.mem.indexOfAny(u8, first, ".:") != null or std.mem.eql(u8, first, "localhost")) {
                image.registry = first;
                rest = rest[slash + 1 ..];
            }
        } else {
            image.official = true;
        }
        if (std.mem.lastIndexOfScalar(u8, rest, ':')) |colon| {
            image.tag = rest[colon + 1 ..];
            rest = rest[0..colon];
        }
        image.path = rest;
        return image;
    }

    fn isBelow(self: Image, allowed: []const []const u8) bool {
        for (allowed) |whole| {
            const slash = std.mem.indexOfScalar(u8, whole, '/') orelse whole.len;
            if (!std.mem.eql(u8, self.registry, whole[0..slash])) continue;
            if (slash == whole.len) return true;
            const path = whole[slash + 1 ..];
            if (self.official and std.mem.eql(u8, path, "library")) return true;
            const is_below = std.mem.startsWith(u8, self.path, path) and
                (self.path.len == path.len or self.path[path.len] == '/');
            if (is_below) return true;
        }
        return false;
    }
};

fn contains(list: []const []const u8, text: []const u8) bool {
    for (list) |item| if (std.mem.eql(u8, item, text)) return true;
    return false;
}

comptime {
    dockbell.exportFilter(@This());
}
pub const panic = dockbell.panic;

fn tells(image: []const u8) !bool {
    const attributes = [_]dockbell.Pair{.{ .name = .of("image"), .value = .of(image) }};
    return accept(&.{ .kind = .of("container"), .action = .of("start"), .attributes = .of(&attributes) });
}

test "only images from allowed places are quiet" {
    try configure(
        \\{"allowed": ["docker.io/library", "registry.example.com/acme", "localhost:5000"]}
    );
    for ([_][]const u8{ "redis:7.2", "registry.example.com/acme/web:1", "localhost:5000/any/thing:2", "docker.io/library/redis:7" }) |quiet|
        try std.testing.expect(!try tells(quiet));
    for ([_][]const u8{ "evil/redis:7", "registry.example.com/acmeevil/web:1", "registry.example.com.evil.example/acme/web:1", "other.example/x:1" }) |told|
        try std.testing.expect(try tells(told));
}

test "a forbidden tag is told, unless a digest says what runs" {
    try configure("{}");
    for ([_][]const u8{ "redis", "redis:latest", "localhost:5000/redis" }) |told| try std.testing.expect(try tells(told));
    for ([_][]const u8{ "redis:7", "redis:latest@sha256:00ff" }) |quiet| try std.testing.expect(!try tells(quiet));
}

test "a digest can be demanded" {
    try configure("{\"digest\": true}");
    try std.testing.expect(try tells("redis:7"));
    try std.testing.expect(!try tells("redis@sha256:00ff"));
    try std.testing.expect(!try tells("sha256:00ff"));
}

test "only what starts is judged, and mistakes are named" {
    try std.testing.expect(!try accept(&.{ .kind = .of("container"), .action = .of("die") }));
    try std.testing.expectError(error.Told, configure("{\"allowed\": [\"registry.example.com/\"]}"));
    try std.testing.expectError(error.Told, configure("{\"tags\": []}"));
    try std.testing.expectEqualStrings(
        "unknown key `tags`; there is `allowed`, `forbidden-tags`, `digest`, `actions`",
        dockbell.told(),
    );
}
