/*
 * Reads VmRSS and VmHWM of /proc/self/status.
 */
#include "base/resident.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kibibytes behind `key`, when the line begins with it. */
static void read_field(const char *line, const char *key, size_t *bytes)
{
    size_t length = strlen(key);
    if (strncmp(line, key, length) == 0)
        *bytes = (size_t)strtoul(line + length, NULL, 10) * 1024;
}

bool mn_resident_bytes(size_t *ret_now, size_t *ret_peak)
{
    char line[256];
    size_t now = 0;
    size_t peak = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        read_field(line, "VmRSS:", &now);
        read_field(line, "VmHWM:", &peak);
    }
    (void)fclose(file);
    if (now == 0 || peak == 0)
        return false;
    *ret_now = now;
    *ret_peak = peak;
    return true;
}
