use super::*;

const MASTER: &str = "#EXTM3U\r\n#EXT-X-VERSION:7\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x,URI=\\y=z\",LANGUAGE=\"en\",URI=\"v/audio/en/index.m3u8\",CHANNELS=\"2\"\n\
    #EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"c\",INSTREAM-ID=\"CC1\",X-URI=\"left alone\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"a\"\r\n\
    v/video/720p/index.m3u8\r\n\
    \n\
    #EXT-X-I-FRAME-STREAM-INF:URI=\"v/video/720p/iframes.m3u8\",BANDWIDTH=2\n\
    # a comment: URI=\"not this\"\n";

const MEDIA: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:BYTERANGE=\"700@0\",URI=\"init.mp4\"\n\
    #EXTINF:6.0,a title URI=\"no\"\n#EXT-X-BYTERANGE:10@20\n00001.m4s\n#EXT-X-ENDLIST";

fn uris(text: &str) -> Vec<String> {
    references(text).unwrap().into_iter().map(|found| found.uri).collect()
}

/// Each address with a mark.
fn marked(text: &str) -> String {
    let found = references(text).unwrap();
    let addresses: Vec<_> = found.iter().map(|found| Some(format!("<{}>", found.uri))).collect();
    spliced(text, &found, &addresses).unwrap()
}

#[test]
fn exactly_the_addresses_are_replaced_and_no_other_byte() {
    let of_master = ["v/audio/en/index.m3u8", "v/video/720p/index.m3u8", "v/video/720p/iframes.m3u8"];
    assert_eq!(uris(MASTER), of_master);
    assert_eq!(uris(MEDIA), ["init.mp4", "00001.m4s"]);
    for text in [MASTER, MEDIA] {
        let marked = marked(text);
        assert_eq!(marked.matches('<').count(), references(text).unwrap().len());
        assert_eq!(marked.replace(['<', '>'], ""), text);
    }
    let found = references(MASTER).unwrap();
    assert_eq!(spliced(MASTER, &found, &[None, None, None]).unwrap(), MASTER);
}

#[test]
fn another_reader_finds_the_new_addresses_where_the_old_ones_were() {
    let text = marked(MASTER);
    let Ok(m3u8_rs::Playlist::MasterPlaylist(master)) = m3u8_rs::parse_playlist_res(text.as_bytes()) else {
        panic!("no master playlist: {text}");
    };
    let mut read: Vec<_> = master.variants.iter().map(|variant| variant.uri.clone()).collect();
    read.extend(master.alternatives.iter().filter_map(|media| media.uri.clone()));
    read.sort();
    let wanted = ["<v/audio/en/index.m3u8>", "<v/video/720p/iframes.m3u8>", "<v/video/720p/index.m3u8>"];
    assert_eq!(read, wanted);
    let text = marked(MEDIA);
    let Ok(m3u8_rs::Playlist::MediaPlaylist(media)) = m3u8_rs::parse_playlist_res(text.as_bytes()) else {
        panic!("no media playlist: {text}");
    };
    assert_eq!(media.segments[0].uri, "<00001.m4s>");
    assert_eq!(media.segments[0].map.as_ref().unwrap().uri, "<init.mp4>");
}

#[test]
fn what_cannot_be_read_or_held_is_refused() {
    for text in [
        "",
        "<html>",
        "#EXTM3U\n#EXT-X-MAP:URI=\"torn",
        "#EXTM3U\n#EXT-X-MAP:URI=\"a\"b",
        "#EXTM3U\n#EXT-X-MAP:URI=\"a\",URI=\"b\"",
        "#EXTM3U\n#EXT-X-MAP:URI",
    ] {
        assert!(references(text).is_err(), "{text:?}");
    }
    assert!(references(&format!("#EXTM3U\n{}", "a\n".repeat(MAX_REFERENCES + 1))).is_err());
    assert!(references(&format!("#EXTM3U\n#{}", "a".repeat(MAX_BYTES))).is_err());
    let found = references(MEDIA).unwrap();
    for address in ["", "a\"b", "a\nb"] {
        assert!(spliced(MEDIA, &found, &[Some(address.into()), None]).is_err(), "{address:?}");
    }
}

#[test]
fn the_index_of_a_storyboard_keeps_its_areas() {
    let text = "WEBVTT\n\n1\n00:00.000 --> 00:02.000\nstoryboard.jpg#xywh=0,0,160,90\n\n\
                00:02.000 --> 00:04.000\r\nstoryboard.jpg#xywh=160,0,160,90\r\n";
    let found = cues(text).unwrap();
    assert_eq!(found.iter().map(|found| found.uri.as_str()).collect::<Vec<_>>(), ["storyboard.jpg"; 2]);
    let signed = spliced(text, &found, &[Some("https://x/s?a=b".into()), None]).unwrap();
    assert_eq!(signed, text.replacen("storyboard.jpg", "https://x/s?a=b", 1));
    assert!(cues("#EXTM3U").is_err());
}
