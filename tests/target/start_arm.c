/* Start code of a Cortex-M under QEMU: vectors, memory, floating point, output by semihosting. With
 * `-icount shift=0` an instruction takes a nanosecond of virtual time, so that SysTick, which runs
 * at 25 MHz on the MPS2 boards and at 32 MHz on the MPS3 board, counts instructions. */
#include <stddef.h>

#include "target.h"

#ifndef TARGET_TICK_PICOSECONDS
#define TARGET_TICK_PICOSECONDS 40000u
#endif

extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_top;
void start(void);

#define REGISTER(address) (*(volatile uint32_t *)(address))

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void target_print(const char *text)
{
    semihost(0x04, text);
}

static void quit(int code)
{
    uint32_t reason[2] = {0x20026u, (uint32_t)code};
    semihost(0x20, reason);
    for (;;) {
    }
}

static void fault(void)
{
    target_print("fault\n");
    quit(99);
}

/* What gcc asks of every machine. Without the attribute it would find these loops to be calls of
 * themselves. */
#define PLAIN_LOOPS __attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);

PLAIN_LOOPS void *memcpy(void *to, const void *from, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

PLAIN_LOOPS void *memset(void *to, int byte, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        ((char *)to)[i] = (char)byte;
    return to;
}

/* SysTick counts down through 24 bits. */
uint32_t target_instructions(void)
{
    uint32_t ticks = 0xffffffu - REGISTER(0xE000E018u);
    return (uint32_t)((uint64_t)ticks * TARGET_TICK_PICOSECONDS / 1000u);
}

void start(void)
{
    const uint32_t *from = &data_load;
    uint32_t *to;
    REGISTER(0xE000ED88u) |= 0xFu << 20; /* coprocessors 10 and 11: floating point, vectors */
    __asm__ volatile("dsb\n isb");
    for (to = &data_start; to < &data_end;)
        *to++ = *from++;
    for (to = &bss_start; to < &bss_end;)
        *to++ = 0;
    REGISTER(0xE000E014u) = 0xffffffu;
    REGISTER(0xE000E018u) = 0;
    REGISTER(0xE000E010u) = 5; /* the processor's clock */
    quit(target_main());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top,
    (const void *)start,
    (const void *)fault,
    (const void *)fault,
    (const void *)fault,
    (const void *)fault,
    (const void *)fault,
};
