//! A canary that is linked statically: it maps the input for code, as a loader maps a library.
//!
//! The other canary is the task's own program, whose loader needs just that to work. So this one is made of nothing but
//! an ELF header and 61 bytes of machine code. It exits with 0 or [`super::canary::REFUSED`].

/// Where it is mapped: anywhere above the first page.
#[cfg(target_arch = "x86_64")]
const BASE: u64 = 0x40_0000;
/// Header of the file, and one program header.
#[cfg(target_arch = "x86_64")]
const HEADERS: u64 = 64 + 56;

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const CODE: [u8; 61] = [
    0x48, 0x8b, 0x7c, 0x24, 0x20,       // mov rdi, [rsp+32]    the third argument, after the program's name: the input
    0x31, 0xf6,                         // xor esi, esi         O_RDONLY
    0xb8, 0x02, 0x00, 0x00, 0x00,       // mov eax, 2           open
    0x0f, 0x05,                         // syscall
    0x41, 0x89, 0xc0,                   // mov r8d, eax
    0x31, 0xff,                         // xor edi, edi
    0xbe, 0x00, 0x10, 0x00, 0x00,       // mov esi, 4096
    0xba, 0x05, 0x00, 0x00, 0x00,       // mov edx, 5           PROT_READ|PROT_EXEC
    0x41, 0xba, 0x02, 0x08, 0x00, 0x00, // mov r10d, 0x802      MAP_PRIVATE|MAP_DENYWRITE
    0x45, 0x31, 0xc9,                   // xor r9d, r9d
    0xb8, 0x09, 0x00, 0x00, 0x00,       // mov eax, 9           mmap
    0x0f, 0x05,                         // syscall
    0x48, 0xc1, 0xf8, 0x3f,             // sar rax, 63          all ones if it failed
    0x83, 0xe0, 0x03,                   // and eax, 3           REFUSED
    0x89, 0xc7,                         // mov edi, eax
    0xb8, 0x3c, 0x00, 0x00, 0x00,       // mov eax, 60          exit
    0x0f, 0x05,                         // syscall
];

/// Whether there is one for this processor.
pub(crate) const IS_THERE: bool = cfg!(target_arch = "x86_64");

/// The bytes of the program.
#[cfg(target_arch = "x86_64")]
pub(crate) fn program() -> Vec<u8> {
    const EXECUTABLE: u16 = 2;
    const X86_64: u16 = 62;
    const LOAD: u32 = 1;
    const READ_EXECUTE: u32 = 5;
    let size = HEADERS + CODE.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let short = |file: &mut Vec<u8>, numbers: &[u16]| {
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    let word = |file: &mut Vec<u8>, numbers: &[u32]| {
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    let long = |file: &mut Vec<u8>, numbers: &[u64]| {
        file.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    short(&mut file, &[EXECUTABLE, X86_64]);
    word(&mut file, &[1]);
    // The first instruction; the program headers begin behind this header; there are no sections.
    long(&mut file, &[BASE + HEADERS, 64, 0]);
    word(&mut file, &[0]);
    short(&mut file, &[64, 56, 1, 0, 0, 0]);
    // The whole file is mapped at its address.
    word(&mut file, &[LOAD, READ_EXECUTE]);
    long(&mut file, &[0, BASE, BASE, size, size, 4096]);
    file.extend(CODE);
    file
}

/// The bytes of the program.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn program() -> Vec<u8> {
    Vec::new()
}
