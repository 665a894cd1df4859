/*
 * What exported code takes on microcontrollers beside the planned memory: its own size, and stack.
 */
#ifndef MN_CLI_BOARDS_H
#define MN_CLI_BOARDS_H

/* Compiles the export in `folder`, whose name is `name` (NULL: the default one), with the cross
 * compilers that are installed and prints a line for each processor; a line says which are missing.
 * What cannot be found out is left out: the export is good without. */
void mn__boards_print(const char *folder, const char *name);

#endif
