//! What a daemon needs to find the stand-ins: its configuration, and the secret beside it.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{SandboxError, VERIFICATION, facebook, instagram, linkedin, tiktok};

/// The TOML that points a daemon at the stand-ins.
///
/// The public client is the one named, because the file then needs no secret beside it.
pub(super) fn config(origin: &str, bound: SocketAddr, secret: &Secret) -> String {
    let ip = bound.ip();
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let (instagram, tiktok) = (instagram::CLIENT, tiktok::CLIENT);
    let (member, pages) = (linkedin::CLIENT, linkedin::ORGANIZATION_CLIENT);
    let (proof, content) = VERIFICATION;
    let (app, file) = (facebook::CLIENT, toml_text(&secret.0.to_string_lossy()));
    format!(
        "[platforms.facebook]\n\
         client_id = \"{app}\"\n\
         client_secret = {{ file = {file} }}\n\n\
         [platforms.facebook.endpoints]\n\
         authorize = \"{origin}/facebook\"\n\
         graph = \"{origin}/facebook\"\n\
         upload = \"{origin}/facebook\"\n\n\
         [platforms.instagram]\n\
         client_id = \"{instagram}\"\n\
         client_secret = {{ file = {file} }}\n\n\
         [platforms.instagram.endpoints]\n\
         authorize = \"{origin}/instagram\"\n\
         token = \"{origin}/instagram\"\n\
         graph = \"{origin}/instagram\"\n\n\
         [platforms.x]\n\
         # The confidential client is `sandbox-x`, its secret `sandbox-x-secret`.\n\
         client_id = \"sandbox-x-public\"\n\n\
         [platforms.x.endpoints]\n\
         authorize = \"{origin}/x\"\n\
         api = \"{origin}/x\"\n\n\
         [platforms.linkedin]\n\
         client_id = \"{member}\"\n\
         client_secret = {{ file = {file} }}\n\n\
         [platforms.linkedin.organization]\n\
         client_id = \"{pages}\"\n\
         client_secret = {{ file = {file} }}\n\n\
         [platforms.linkedin.endpoints]\n\
         oauth = \"{origin}/linkedin\"\n\
         api = \"{origin}/linkedin\"\n\n\
         # TikTok fetches photos from a host that proves whose it is. Put into [server]:\n\
         # verification_files = {{ \"{proof}\" = \"{content}\" }}\n\
         [platforms.tiktok]\n\
         client_id = \"{tiktok}\"\n\
         client_secret = {{ file = {file} }}\n\
         app_kind = \"desktop\"\n\
         mode = \"direct\"\n\n\
         [platforms.tiktok.endpoints]\n\
         authorize = \"{origin}/tiktok\"\n\
         api = \"{origin}/tiktok\"\n\n\
         # Connect with: sendoff account connect bluesky --instance {origin}\n\
         [platforms.bluesky.endpoints]\n\
         plc = \"{origin}/plc\"\n\n\
         [egress]\n\
         allow = [\"{ip}/{bits}\"]\n"
    )
}

/// A basic string of TOML: escaped as JSON is.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The file with the secret of Facebook's app, as long as the stand-ins run. It protects nothing.
#[derive(Debug)]
pub(super) struct Secret(PathBuf);

impl Secret {
    pub(super) fn write(port: u16) -> Result<Self, SandboxError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let name = format!("sendoff-sandbox-{}-{port}.secret", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match made.and_then(|mut file| file.write_all(facebook::SECRET.as_bytes())) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(SandboxError::Secret { path, source }),
        }
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}
