//! Hostile files, made when the tests run.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

/// What a hostile file is after: a local file that is not its own, and a listener that stands for the address of the task's
/// credentials. Both notice.
pub(crate) struct Bait {
    pub(crate) secret: PathBuf,
    listener: TcpListener,
    opened: std::fs::File,
}

impl Bait {
    /// The secret is a real clip: whoever opens it gets something to play.
    pub(crate) fn lay(folder: &Path) -> Self {
        let secret = folder.join("secret.mp4");
        clip(&secret, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let opened = watch(&secret);
        Self { secret, listener, opened }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Whether somebody connected since the last look.
    pub(crate) fn was_called(&self) -> bool {
        self.listener.accept().is_ok()
    }

    /// Whether somebody opened the secret since the last look.
    pub(crate) fn was_opened(&self) -> bool {
        use std::io::Read;
        (&self.opened).read(&mut [0; 4096]).is_ok_and(|read| read > 0)
    }
}

/// A file that can be read as soon as the watched one is opened.
fn watch(path: &Path) -> std::fs::File {
    use std::os::{fd::FromRawFd, unix::ffi::OsStrExt};
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a string with its end, and the new descriptor is nobody else's.
    unsafe {
        let descriptor = libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC);
        assert!(descriptor >= 0 && libc::inotify_add_watch(descriptor, path.as_ptr(), libc::IN_OPEN) >= 0);
        std::fs::File::from_raw_fd(descriptor)
    }
}

/// Runs ffmpeg outside of any sandbox, on files of our own.
pub(crate) fn ffmpeg(args: &[&str], output: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]).args(args).arg(output);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?} {}", String::from_utf8_lossy(&done.stderr));
}

/// A second of video and audio.
pub(crate) fn clip(output: &Path, more: &[&str]) {
    let made = "-f lavfi -i testsrc2=s=64x64:r=25:d=1 -f lavfi -i sine=d=1 -c:v libx264 -c:a aac -shortest";
    let args: Vec<_> = made.split_whitespace().chain(more.iter().copied()).collect();
    ffmpeg(&args, output);
}

/// Texts that name other files or addresses, under the name of a video.
pub(crate) fn texts(bait: &Bait) -> Vec<(&'static str, Vec<u8>)> {
    let (secret, address) = (bait.secret.display(), bait.address());
    let port = address.port();
    let hls = |uri: String| format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{uri}\n#EXT-X-ENDLIST\n");
    let dash = |uri: String| {
        format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             mediaPresentationDuration=\"PT1S\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period>\
             <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"0\" bandwidth=\"1\"><BaseURL>{uri}</BaseURL>\
             <SegmentBase indexRange=\"0-1\"/></Representation></AdaptationSet></Period></MPD>"
        )
    };
    let texts = [
        ("hls to an address", hls(format!("http://{address}/v2/credentials.ts"))),
        ("hls to a file", hls(secret.to_string())),
        ("hls to a concat", hls(format!("concat:{secret}|http://{address}/"))),
        (
            "hls with a key",
            format!("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"http://{address}/k\"\n#EXTINF:1,\n{secret}\n"),
        ),
        ("dash to an address", dash(format!("http://{address}/v2/credentials"))),
        ("dash to a file", dash(format!("file:{secret}"))),
        ("concat to a file", format!("ffconcat version 1.0\nfile '{secret}'\n")),
        ("concat to an address", format!("ffconcat version 1.0\nfile 'http://{address}/'\n")),
        (
            "sdp",
            format!(
                "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
            ),
        ),
        ("webvtt to a file", format!("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000\n\n{secret}\n")),
        (
            "imf",
            format!(
                "<?xml version=\"1.0\"?><CompositionPlaylist xmlns=\"http://www.smpte-ra.org/schemas/2067-3/2016\"><Id>{secret}</Id></CompositionPlaylist>"
            ),
        ),
    ];
    let mut files: Vec<_> = texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    let playlist = hls(format!("http://{address}/gab2")).into_bytes();
    files.push(("xbin", [b"XBIN\x1a\x50\x00\x19\x00\x10\x00".as_slice(), &playlist].concat()));
    files.push(("gab2 in an avi", avi_with_subtitles(&playlist)));
    files
}

/// An AVI file whose one stream is a GAB2 text, which is itself opened as a file of any kind.
fn avi_with_subtitles(text: &[u8]) -> Vec<u8> {
    fn chunk(id: [u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        let mut chunk = [id.as_slice(), &length.to_le_bytes(), body].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }
    let list = |kind: &[u8; 4], body: &[u8]| chunk(*b"LIST", &[kind.as_slice(), body].concat());
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let main = chunk(*b"avih", &words(&[40_000, 0, 0, 0x10, 1, 0, 1, 0, 64, 64, 0, 0, 0, 0]));
    let head = [b"txts".as_slice(), &words(&[0, 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0])].concat();
    let stream = list(b"strl", &[chunk(*b"strh", &head), chunk(*b"strf", &[])].concat());
    let header = list(b"hdrl", &[main, stream].concat());
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let gab2 = [b"GAB2\0\x02\0".as_slice(), &[4, 0, 0, 0], b"x\0\0\0", &[4, 0], &length, text].concat();
    let media = list(b"movi", &chunk(*b"00tx", &gab2));
    chunk(*b"RIFF", &[b"AVI ".as_slice(), &header, &media].concat())
}

/// An MP4 file whose tracks lie in another file, by a `url ` entry and by a Macintosh alias.
pub(crate) fn external_references(bait: &Bait, folder: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let plain = folder.join("plain.mov");
    clip(&plain, &[]);
    let plain = std::fs::read(plain).unwrap();
    let secret = bait.secret.display().to_string();
    let url = [b"url \0\0\0\0".as_slice(), format!("file://{secret}\0").as_bytes()].concat();
    let mut alias = [b"alis\0\0\0\0".as_slice(), &[0; 10], &[0; 28], &[0; 12], &[10], b"secret.mp4"].concat();
    alias.resize(8 + 10 + 28 + 12 + 64 + 16, 0);
    alias.extend([0, 1, 0, 1]);
    alias.extend([0; 16]);
    let length = u16::try_from(secret.len()).unwrap();
    alias.extend(
        [&[0, 2], length.to_be_bytes().as_slice(), secret.as_bytes(), &[0; 1][..secret.len() % 2]].concat(),
    );
    alias.extend([0xff, 0xff, 0, 0]);
    vec![
        ("mov with a url", with_reference(plain.clone(), &url)),
        ("mov with an alias", with_reference(plain, &alias)),
    ]
}

/// A movie whose index is compressed and grows to a gibibyte of zeros, out of seven megabytes.
pub(crate) fn compressed_index() -> Vec<u8> {
    fn atom(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len() + 8).unwrap().to_be_bytes(), kind.as_slice(), body].concat()
    }
    fn pack(bits: &[u8]) -> Vec<u8> {
        bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | bit)).collect()
    }
    // Deflate with its fixed codes. "258 bytes like the one before" takes 13 bits.
    const AGAIN: [u8; 13] = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    // The only block; a zero; and again, which ends with a byte.
    let first = pack(&[&[1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0], &AGAIN[..]].concat());
    let eight = pack(&AGAIN.repeat(8));
    let times = (1_u32 << 30) / (8 * 258);
    let length = 1 + 258 * (1 + 8 * times);
    let sum = (length % 65_521) << 16 | 1;
    let more = eight.repeat(usize::try_from(times).unwrap());
    let packed = [&[0x78, 0x01], first.as_slice(), &more, &[0], &sum.to_be_bytes()].concat();
    let movie = atom(*b"cmvd", &[&length.to_be_bytes(), packed.as_slice()].concat());
    let index = atom(*b"cmov", &[atom(*b"dcom", b"zlib"), movie].concat());
    [atom(*b"ftyp", b"qt  \0\0\0\0qt  "), atom(*b"moov", &index), atom(*b"mdat", &[0; 64])].concat()
}

/// Replaces every data reference. `moov` is the last box, so no offset changes with its length.
fn with_reference(mut file: Vec<u8>, entry: &[u8]) -> Vec<u8> {
    let entry = [u32::try_from(entry.len() + 4).unwrap().to_be_bytes().as_slice(), entry].concat();
    let mut from = 0;
    while let Some(found) = file[from..].windows(4).position(|name| name == b"dref") {
        let dref = from + found - 4;
        let old = u32::from_be_bytes(file[dref + 16..dref + 20].try_into().unwrap()) as usize;
        for ancestor in [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"] {
            let name = file[..dref + 8].windows(4).rposition(|name| name == ancestor).unwrap();
            let size =
                u32::from_be_bytes(file[name - 4..name].try_into().unwrap()) as usize + entry.len() - old;
            file[name - 4..name].copy_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        }
        file.splice(dref + 16..dref + 16 + old, entry.iter().copied());
        from = dref + 16 + entry.len();
    }
    assert!(from > 0, "no data reference was found");
    file
}
