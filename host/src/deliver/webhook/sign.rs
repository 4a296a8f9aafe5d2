//! Signatures as Standard Webhooks have them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::config::SigningKey;

/// What the header `webhook-signature` says: for each secret `v1,` and the base64 of the HMAC-SHA256 of
/// `id.timestamp.body`, with spaces between. A receiver that knows one of the secrets is content.
pub(super) fn signature(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let one = |key: &SigningKey| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
    };
    keys.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_example_of_standard_webhooks_is_signed_as_there() {
        let keys = SigningKey::parse_all("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_while_one_replaces_the_other() {
        let keys =
            SigningKey::parse_all("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nthe other secret of 27 bytes").unwrap();
        let both = signature(&keys, "1", 2, b"x");
        let each: Vec<_> = keys.iter().map(|key| signature(std::slice::from_ref(key), "1", 2, b"x")).collect();
        assert_eq!(both, each.join(" "));
    }
}
