/* What gcc's -fstack-protector-all and -finstrument-functions call. */
#include <stdint.h>

#include "target.h"

#define PLAIN __attribute__((no_instrument_function))

extern uintptr_t __stack_chk_guard;
void __stack_chk_fail(void);
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

uintptr_t __stack_chk_guard = 0x5a17c0deu;

PLAIN void __stack_chk_fail(void)
{
    target_print("a stack guard was overwritten\n");
    for (;;) {
    }
}

/* Writes over the registers that a call may write over. */
PLAIN void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)function;
    (void)caller;
    __asm__ volatile("movs r0, #1\n movs r1, #2\n movs r2, #3\n movs r3, #4\n mov r12, r3"
                     :
                     :
                     : "r0", "r1", "r2", "r3", "r12");
}

PLAIN void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
}
