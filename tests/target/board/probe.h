/*
 * What the probe needs from where it runs: a way to print. startup.c has it for boards, host.c for
 * this machine.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

void probe_write(const char *text);

/* The lowest `digits` (at most 8) hexadecimal digits of `value`. */
void probe_write_hex(uint32_t value, int digits);

#endif
