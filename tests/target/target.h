/* What programs under test ask of a machine without an operating system (start_arm.c), or of a
 * host (start_host.c). */
#ifndef MN_TARGET_H
#define MN_TARGET_H

#include <stdint.h>

/* The program. The machine ends with its result. */
int target_main(void);

void target_print(const char *text);

/* Instructions executed since some moment, modulo 2^32, in steps of `target_tick()` of them. */
uint32_t target_instructions(void);

#endif
