#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| transcode_parsers::matroska(bytes));
