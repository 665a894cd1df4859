/*
 * The probe on this machine.
 */
#include <stdio.h>

#include "probe.h"

void probe_write(const char *text)
{
    fputs(text, stdout);
}
