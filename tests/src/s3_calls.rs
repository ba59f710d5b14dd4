//! The calls to S3 that the controller makes for one ordinary job: an upload that succeeds at its first attempt, under a
//! prefix where nothing was published before. A process test counts them, and `docs/costs.md` lists them.

/// One call.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct S3Call {
    /// As [`crate::proxy::Call::name`] gives it.
    pub name: &'static str,
    pub why: &'static str,
}

impl S3Call {
    /// Whether S3 bills it like a write.
    pub fn is_write(&self) -> bool {
        ["Put", "Copy", "List"].iter().any(|kind| self.name.starts_with(&format!("s3:{kind}")))
    }
}

const fn call(name: &'static str, why: &'static str) -> S3Call {
    S3Call { name, why }
}

/// All of them, in order. A result with a picture has one entry point more.
pub const ORDINARY_JOB: [S3Call; 13] = [
    call("s3:ListObjectsV2", "whether the job is decided, or claimed by another controller"),
    call("s3:PutObject spec.json", "the specification, if there is none"),
    call("s3:PutObject index-accepted", "the entry by time"),
    call("s3:PutObject index-source", "the entry by source"),
    call("s3:PutObject 000001.json", "the claim, if there is none"),
    call("s3:ListObjectsV2", "once S3 says that the job is decided: whether there is a newer attempt"),
    call("s3:GetObject terminal.json", "how it ended"),
    call("s3:PutObject pointer", "the pointer, if there is none"),
    call("s3:CopyObject metadata.json", "the entry point, if there is none"),
    call("s3:CopyObject manifest.json", "the entry point, if there is none"),
    call("s3:CopyObject manifest.mpd", "the entry point, if there is none"),
    call("s3:CopyObject master.m3u8", "the entry point, if there is none"),
    call("s3:PutObject index-ended", "the end"),
];
