/*
 * Start of a probe on an emulated board, and its way out: semihosting, which QEMU serves. Linked
 * with target.ld.in. Invariant: no variable lives here, so the RAM holds the arena and the stack
 * alone; both are painted before main() runs, the arena with floats that are no numbers.
 */
#include <stddef.h>
#include <stdint.h>

#include "probe.h"

int main(void);
void start_run(void);
void start_fault(void);

/* Of the linker script. */
extern uint32_t ram_start[], stack_limit[], stack_top[];

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };
#define STACK_PAINT 0xa5a5a5a5u
#define ARENA_PAINT 0xffffffffu

#if defined(__riscv)

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".balign 16\n"
                     ".option push\n"
                     ".option norvc\n"
                     "slli x0, x0, 0x1f\n"
                     "ebreak\n"
                     "srai x0, x0, 7\n"
                     ".option pop\n"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

__asm__(".section .start, \"ax\"\n"
        ".globl _start\n"
        "_start:\n"
        "    la sp, stack_top\n"
        "    la t0, start_fault\n"
        ".option push\n"
        ".option arch, +zicsr\n"
        "    csrw mtvec, t0\n"
        ".option pop\n"
        "    j start_run\n");

static uint32_t *stack_pointer(void)
{
    uint32_t *sp;
    __asm__ volatile("mv %0, sp" : "=r"(sp));
    return sp;
}

#else

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* Floating point is off at reset; cores without it ignore the write. */
void _start(void);
void _start(void)
{
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;
    __asm__ volatile("dsb\n isb\n" ::: "memory");
    start_run();
}

__attribute__((section(".start"), used)) static const void *const vectors[16] = {stack_top,
                                                                                 _start,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault,
                                                                                 start_fault};

static uint32_t *stack_pointer(void)
{
    uint32_t *sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

#endif

static void leave(uint32_t code)
{
    uint32_t block[2];
    block[0] = APPLICATION_EXIT;
    block[1] = code;
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

void probe_write(const char *text)
{
    semihost(SYS_WRITE0, text);
}

__attribute__((aligned(4))) void start_fault(void)
{
    probe_write("FAULT\n");
    leave(99);
}

static void paint(uint32_t *from, const uint32_t *end, uint32_t colour)
{
    while (from < end)
        *from++ = colour;
}

/* The lowest byte that was written says how deep the stack was. */
static void print_stack(void)
{
    const uint32_t *lowest = stack_limit;
    while (lowest < stack_top && *lowest == STACK_PAINT)
        lowest++;
    probe_write("stack ");
    probe_write_hex((uint32_t)(stack_top - lowest) * 4u, 8);
    probe_write("\n");
}

__attribute__((noinline, used)) void start_run(void)
{
    int code;
    paint(ram_start, stack_limit, ARENA_PAINT);
    paint(stack_limit, stack_pointer() - 16, STACK_PAINT);
    code = main();
    print_stack();
    leave((uint32_t)code);
}

/* What compilers call by themselves; there is no C library here. */
void *memcpy(void *to, const void *from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

void *memcpy(void *to, const void *from, size_t count)
{
    unsigned char *t = (unsigned char *)to;
    const unsigned char *f = (const unsigned char *)from;
    while (count-- > 0)
        *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    unsigned char *t = (unsigned char *)to;
    const unsigned char *f = (const unsigned char *)from;
    if (t < f)
        return memcpy(to, from, count);
    while (count-- > 0)
        t[count] = f[count];
    return to;
}

void *memset(void *to, int value, size_t count)
{
    unsigned char *t = (unsigned char *)to;
    while (count-- > 0)
        *t++ = (unsigned char)value;
    return to;
}
