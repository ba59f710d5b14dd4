//! Signed cookies and addresses of CloudFront.
//!
//! Source: "Use signed cookies" and "Set signed cookies using a custom policy", CloudFront developer guide. Signatures
//! are RSA with SHA-256, which CloudFront takes where it is named (`CloudFront-Hash-Algorithm`); without a name it expects
//! SHA-1.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Serialize;
use serde_json::Value;

use crate::{WebError, address};

/// Bytes of a key's modulus. CloudFront takes RSA keys of 2048 bits only.
const MODULUS: usize = 256;

/// A distribution, and the key pair whose public key is in a key group that it trusts.
#[derive(Debug)]
pub struct CloudFront {
    domain: String,
    key_pair_id: String,
    key: RsaKeyPair,
}

/// Signed cookies. They open everything below one prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cookies {
    /// What they open, with `*` for everything below.
    pub resource: String,
    /// The cookies' `Path`.
    pub path: String,
    /// Their names and values.
    pub cookies: BTreeMap<&'static str, String>,
}

impl CloudFront {
    /// `domain`: as players ask for it, without a scheme; `pem`: the private key, RSA with 2048 bits. The key stays in
    /// memory only.
    pub fn new(domain: &str, key_pair_id: &str, pem: &[u8]) -> Result<Self, WebError> {
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if domain.is_empty() || !domain.chars().all(host) {
            return Err(WebError::refused("the domain is a host name such as d111111abcdef8.cloudfront.net"));
        }
        if key_pair_id.is_empty() || !key_pair_id.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(WebError::refused("the key pair's id is letters and digits, such as K2JCJMDEHXQW5F"));
        }
        // Errors say nothing of the key.
        let wrong = || WebError::refused("the private key is no RSA key of 2048 bits in PEM");
        let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())? {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(wrong()),
        };
        let key = key.ok().filter(|key| key.public_modulus_len() == MODULUS).ok_or_else(wrong)?;
        Ok(Self { domain: domain.to_owned(), key_pair_id: key_pair_id.to_owned(), key })
    }

    /// Cookies for all that lies below `prefix`, a stable prefix with a slash at its end, until `until`.
    pub fn cookies(&self, prefix: &str, until: SystemTime) -> Result<Cookies, WebError> {
        if !prefix.ends_with('/') || prefix.len() < 2 {
            return Err(WebError::refused("a prefix ends with a slash"));
        }
        let path = format!("/{}", address::encoded(prefix));
        let resource = format!("https://{}{path}*", self.domain);
        let (policy, signature) = self.signed(&resource, until)?;
        let cookies = BTreeMap::from([
            ("CloudFront-Hash-Algorithm", "SHA256".to_owned()),
            ("CloudFront-Key-Pair-Id", self.key_pair_id.clone()),
            ("CloudFront-Policy", policy),
            ("CloudFront-Signature", signature),
        ]);
        Ok(Cookies { resource, path, cookies })
    }

    /// The address of an object, without a signature: for players that have the cookies.
    pub fn address(&self, key: &str) -> String {
        format!("https://{}/{}", self.domain, address::encoded(key))
    }

    /// A signed address of one object, such as a poster or a progressive file, until `until`.
    pub fn signed_address(&self, key: &str, until: SystemTime) -> Result<String, WebError> {
        let address = self.address(key);
        let (policy, signature) = self.signed(&address, until)?;
        let id = &self.key_pair_id;
        Ok(format!("{address}?Policy={policy}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256"))
    }

    /// A custom policy for a resource, and its signature, both as they are in cookies and addresses.
    fn signed(&self, resource: &str, until: SystemTime) -> Result<(String, String), WebError> {
        let until = until.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let resource = Value::from(resource);
        let policy = format!(
            r#"{{"Statement":[{{"Resource":{resource},"Condition":{{"DateLessThan":{{"AWS:EpochTime":{until}}}}}}}]}}"#
        );
        let mut signature = [0; MODULUS];
        let signed =
            self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), policy.as_bytes(), &mut signature);
        signed.map_err(|_| WebError::refused("the private key does not sign"))?;
        Ok((safe(policy.as_bytes()), safe(&signature)))
    }
}

/// Base64 as CloudFront has it in cookies and addresses.
fn safe(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
        signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let text = BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    fn key(size: KeySize) -> (RsaKeyPair, String) {
        let key = RsaKeyPair::generate(size).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let text = pem("PRIVATE KEY", der.as_ref());
        (key, text)
    }

    fn unsafe_again(text: &str) -> Vec<u8> {
        BASE64_STANDARD.decode(text.replace('-', "+").replace('_', "=").replace('~', "/")).unwrap()
    }

    #[test]
    fn cookies_open_one_prefix_until_a_time_and_verify_with_the_public_key() {
        let (pair, pem) = key(KeySize::Rsa2048);
        let cloudfront = CloudFront::new("media.example.com", "K1", pem.as_bytes()).unwrap();
        let until = UNIX_EPOCH + Duration::from_mins(33_333_333);
        let made = cloudfront.cookies("videos/a *b?/", until).unwrap();
        assert_eq!(made.path, "/videos/a%20%2Ab%3F/");
        assert_eq!(made.cookies["CloudFront-Key-Pair-Id"], "K1");
        let policy = unsafe_again(&made.cookies["CloudFront-Policy"]);
        assert_eq!(
            String::from_utf8(policy.clone()).unwrap(),
            r#"{"Statement":[{"Resource":"https://media.example.com/videos/a%20%2Ab%3F/*","Condition":{"DateLessThan":{"AWS:EpochTime":1999999980}}}]}"#
        );
        let signature = unsafe_again(&made.cookies["CloudFront-Signature"]);
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
        public.verify(&policy, &signature).unwrap();
        let address = cloudfront.signed_address("videos/a/poster.jpg", until).unwrap();
        assert!(address.starts_with("https://media.example.com/videos/a/poster.jpg?Policy="), "{address}");
        assert!(address.ends_with("&Key-Pair-Id=K1&Hash-Algorithm=SHA256"), "{address}");
    }

    #[test]
    fn keys_domains_and_prefixes_that_cannot_work_are_refused() {
        let (_, large) = key(KeySize::Rsa3072);
        for (domain, id, pem) in [
            ("media.example.com", "K1", large.as_str()),
            ("media.example.com", "K1", "no key"),
            ("https://media.example.com", "K1", large.as_str()),
            ("media.example.com", "K 1", large.as_str()),
        ] {
            let error = CloudFront::new(domain, id, pem.as_bytes()).unwrap_err();
            assert!(matches!(error, WebError::Refused(_)), "{domain} {id}");
        }
        let (_, pem) = key(KeySize::Rsa2048);
        let cloudfront = CloudFront::new("a.b", "K1", pem.as_bytes()).unwrap();
        for prefix in ["", "/", "videos/a"] {
            assert!(cloudfront.cookies(prefix, UNIX_EPOCH).is_err(), "{prefix}");
        }
    }
}
