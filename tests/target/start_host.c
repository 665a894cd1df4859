/* The same programs on a host. */
#include <stdio.h>

#include "target.h"

void target_print(const char *text)
{
    fputs(text, stdout);
}

uint32_t target_instructions(void)
{
    return 0;
}

int main(void)
{
    return target_main();
}
