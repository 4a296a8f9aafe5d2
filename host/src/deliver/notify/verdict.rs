//! What a service says with its answer: not all say no with the status.

use serde_json::Value;

/// Returns whether an answer with a status of success says all the same that the message was not taken.
///
/// Each service has its own field for it; an answer without that field, such as that of a proxy, is a yes, since a message
/// that is sent again and again is no better.
pub(super) fn refuses(service: &str, body: &[u8]) -> bool {
    if service == "prowl" {
        // <prowl><error code="401">…
        return String::from_utf8_lossy(body).contains("<error");
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return false };
    let differs = |key: &str, yes: Value| answer.get(key).is_some_and(|value| *value != yes);
    match service {
        // core.telegram.org/bots/api#making-requests, docs.slack.dev/apis/web-api
        "telegram" | "slack" => differs("ok", true.into()),
        "rocketchat" => differs("success", true.into()),
        // pushover.net/api#response
        "pushover" => differs("status", 1.into()),
        // zulip.com/api/rest-error-handling
        "zulip" => differs("result", "success".into()),
        // developer.pagerduty.com/docs/send-alert-event
        "pagerduty" => differs("status", "success".into()),
        "bark" => differs("code", 200.into()),
        // `errcode`: open.dingtalk.com/document/robots, developer.work.weixin.qq.com/document/path/90313
        "dingtalk" | "wecombot" => differs("errcode", 0.into()),
        // `code`, and the older `StatusCode`: open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
        "feishu" | "lark" => differs("code", 0.into()) || differs("StatusCode", 0.into()),
        "serverchan" => differs("code", 0.into()) || differs("errno", 0.into()),
        // What REST interfaces of other services have in common.
        _ => answer.get("error").is_some_and(|error| !error.is_null()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_each_service_counts() {
        for (service, yes, no) in [
            (
                "telegram",
                r#"{"ok":true,"result":{}}"#,
                r#"{"ok":false,"error_code":400,"description":"chat not found"}"#,
            ),
            ("slack", r#"{"ok":true}"#, r#"{"ok":false,"error":"invalid_auth"}"#),
            ("rocketchat", r#"{"success":true}"#, r#"{"success":false,"error":"no channel"}"#),
            ("pushover", r#"{"status":1,"request":"x"}"#, r#"{"status":0,"errors":["user is invalid"]}"#),
            ("zulip", r#"{"result":"success","id":1}"#, r#"{"result":"error","msg":"no stream"}"#),
            ("pagerduty", r#"{"status":"success"}"#, r#"{"status":"invalid event"}"#),
            ("bark", r#"{"code":200,"message":"success"}"#, r#"{"code":400,"message":"no device"}"#),
            ("dingtalk", r#"{"errcode":0,"errmsg":"ok"}"#, r#"{"errcode":310000,"errmsg":"keywords not in content"}"#),
            ("wecombot", r#"{"errcode":0}"#, r#"{"errcode":93000}"#),
            ("feishu", r#"{"StatusCode":0,"code":0}"#, r#"{"code":19024,"msg":"Key Words Not Found"}"#),
            ("lark", r#"{"code":0}"#, r#"{"StatusCode":9499}"#),
            ("serverchan", r#"{"code":0}"#, r#"{"code":40001}"#),
            ("prowl", "<prowl><success code=\"200\"/></prowl>", "<prowl><error code=\"401\">bad key</error></prowl>"),
            ("pushbullet", r#"{"active":true,"error":null}"#, r#"{"error":{"message":"no"}}"#),
            ("ntfy", r#"{"id":"x","event":"message"}"#, r#"{"code":40007,"http":400,"error":"invalid priority"}"#),
        ] {
            assert!(!refuses(service, yes.as_bytes()), "{service}: {yes}");
            assert!(refuses(service, no.as_bytes()), "{service}: {no}");
            assert!(!refuses(service, b"ok") && !refuses(service, b"") && !refuses(service, b"{}"), "{service}");
        }
    }
}
