//! A canary that is linked statically: it maps the input for code, as a loader maps a library.
//!
//! The other canary is the task's own program, whose loader needs just that to work. So this one is made of nothing but
//! an ELF header and some machine code. It exits with 0 or [`super::canary::REFUSED`].

/// Where it is mapped: anywhere above the first page.
const BASE: u64 = 0x40_0000;
/// Header of the file, and one program header.
const HEADERS: u64 = 64 + 56;

/// A processor: its number in an ELF header, and the code for it.
#[derive(Debug, Clone, Copy)]
struct Machine {
    number: u16,
    code: &'static [u8],
}

#[rustfmt::skip]
const X86_64: Machine = Machine { number: 62, code: &[
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
] };

#[rustfmt::skip]
const AARCH64: Machine = Machine { number: 183, code: &[
    0xe1, 0x13, 0x40, 0xf9, // ldr x1, [sp, #32]   the input
    0x60, 0x0c, 0x80, 0x92, // mov x0, #-100       AT_FDCWD
    0x02, 0x00, 0x80, 0xd2, // mov x2, #0          O_RDONLY
    0x08, 0x07, 0x80, 0xd2, // mov x8, #56         openat
    0x01, 0x00, 0x00, 0xd4, // svc #0
    0xe4, 0x03, 0x00, 0xaa, // mov x4, x0
    0x00, 0x00, 0x80, 0xd2, // mov x0, #0
    0x01, 0x00, 0x82, 0xd2, // mov x1, #4096
    0xa2, 0x00, 0x80, 0xd2, // mov x2, #5          PROT_READ|PROT_EXEC
    0x43, 0x00, 0x81, 0xd2, // mov x3, #0x802      MAP_PRIVATE|MAP_DENYWRITE
    0x05, 0x00, 0x80, 0xd2, // mov x5, #0
    0xc8, 0x1b, 0x80, 0xd2, // mov x8, #222        mmap
    0x01, 0x00, 0x00, 0xd4, // svc #0
    0x00, 0xfc, 0x7f, 0x93, // asr x0, x0, #63     all ones if it failed
    0x00, 0x04, 0x40, 0x92, // and x0, x0, #3      REFUSED
    0xc8, 0x0b, 0x80, 0xd2, // mov x8, #94         exit_group
    0x01, 0x00, 0x00, 0xd4, // svc #0
] };

/// Both: seccomp's filters exist for no other processor either.
const MACHINES: [(&str, Machine); 2] = [("x86_64", X86_64), ("aarch64", AARCH64)];

/// The bytes of the program for this processor; none for another than those two.
pub(crate) fn program() -> Option<Vec<u8>> {
    program_for(std::env::consts::ARCH)
}

fn program_for(processor: &str) -> Option<Vec<u8>> {
    const EXECUTABLE: u16 = 2;
    const LOAD: u32 = 1;
    const READ_EXECUTE: u32 = 5;
    let (_, Machine { number, code }) = MACHINES.into_iter().find(|(name, _)| *name == processor)?;
    let size = HEADERS + code.len() as u64;
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
    short(&mut file, &[EXECUTABLE, number]);
    word(&mut file, &[1]);
    // The first instruction; the program headers begin behind this header; there are no sections.
    long(&mut file, &[BASE + HEADERS, 64, 0]);
    word(&mut file, &[0]);
    short(&mut file, &[64, 56, 1, 0, 0, 0]);
    // The whole file is mapped at its address.
    word(&mut file, &[LOAD, READ_EXECUTE]);
    long(&mut file, &[0, BASE, BASE, size, size, 4096]);
    file.extend(code);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_that_has_a_filter_has_a_canary() {
        for (processor, machine) in MACHINES {
            assert!(seccompiler::TargetArch::try_from(processor).is_ok(), "{processor}");
            let file = program_for(processor).unwrap();
            assert_eq!(file.len(), 120 + machine.code.len());
            assert_eq!(&file[18..20], machine.number.to_le_bytes());
        }
        assert!(program().is_some(), "this machine's");
    }
}
