//! Copying and filling, as short as can be.
//!
//! The compiler brings its own, which are fast and take 3 KiB. Firmware that sends a few hundred
//! bytes now and then would rather have the flash. These take precedence, for those of the compiler
//! are weak.
//!
//! Written in assembler, for the compiler would turn a loop that copies into a call of itself.

core::arch::global_asm!(
    ".syntax unified",
    ".section .text.memory, \"ax\", %progbits",
    ".macro function name",
    "    .global \\name",
    "    .type \\name, %function",
    "    .thumb_func",
    "\\name:",
    ".endm",
    // void *memcpy(void *to, const void *from, size_t len)
    "function memmove",
    "function __aeabi_memmove",
    "function __aeabi_memmove4",
    "function __aeabi_memmove8",
    "    cmp r1, r0",
    "    bhs 2f", // what lies above moves down, first byte first
    "1:  subs r2, r2, #1",
    "    bmi 3f",
    "    ldrb r3, [r1, r2]",
    "    strb r3, [r0, r2]",
    "    b 1b",
    "function memcpy",
    "function __aeabi_memcpy",
    "function __aeabi_memcpy4",
    "function __aeabi_memcpy8",
    "2:  push {{r4, lr}}",
    "    movs r3, #0",
    "4:  cmp r3, r2",
    "    bhs 5f",
    "    ldrb r4, [r1, r3]",
    "    strb r4, [r0, r3]",
    "    adds r3, r3, #1",
    "    b 4b",
    "5:  pop {{r4, pc}}",
    "3:  bx lr",
    // void __aeabi_memclr(void *to, size_t len)
    "function __aeabi_memclr",
    "function __aeabi_memclr4",
    "function __aeabi_memclr8",
    "    movs r2, #0",
    // void __aeabi_memset(void *to, size_t len, int byte)
    "function __aeabi_memset",
    "function __aeabi_memset4",
    "function __aeabi_memset8",
    "6:  subs r1, r1, #1",
    "    bmi 3b",
    "    strb r2, [r0, r1]",
    "    b 6b",
    // void *memset(void *to, int byte, size_t len)
    "function memset",
    "    mov r3, r1",
    "    mov r1, r2",
    "    mov r2, r3",
    "    b 6b",
    // int memcmp(const void *a, const void *b, size_t len)
    "function memcmp",
    "function bcmp",
    "    push {{r4, r5, lr}}",
    "    movs r3, #0",
    "7:  cmp r3, r2",
    "    bhs 8f",
    "    ldrb r4, [r0, r3]",
    "    ldrb r5, [r1, r3]",
    "    adds r3, r3, #1",
    "    subs r4, r4, r5",
    "    beq 7b",
    "    mov r0, r4",
    "    pop {{r4, r5, pc}}",
    "8:  movs r0, #0",
    "    pop {{r4, r5, pc}}",
    ".purgem function",
);
