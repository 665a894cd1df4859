/*
 * Sliding windows of convolutions and pools, as the kernels take them.
 */
#ifndef MN_EMIT_C_WINDOW_H
#define MN_EMIT_C_WINDOW_H

#include "base/buffer.h"
#include "emit/c_place.h"
#include "kernels/mn_f32.h"

/* The window of a node that reads `from` and writes `to`; its `act` stays linear. MN_ERR_LIMIT when
 * the coordinates and steps that the kernels form do not fit their int32_t. */
mn_status mn__window_find(const mn_node *node,
                          const mn__place *from,
                          const mn__place *to,
                          mn_f32_window *ret_window,
                          mn_error *err);

/* Appends a declaration of `mn_f32_window w` and the assignments of its fields; `act` is the name
 * of the activation. */
void mn__window_write(const mn_f32_window *window, const char *act, mn_buffer *out);

#endif
