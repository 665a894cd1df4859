/*
 * Sliding windows of convolutions and pools, as the kernels take them.
 */
#ifndef MN_EMIT_C_WINDOW_H
#define MN_EMIT_C_WINDOW_H

#include "base/buffer.h"
#include "emit/c_place.h"
#include "kernels/mn_f32.h"
#include "kernels/mn_s8.h"

/* The window of a node that reads `from` and writes `to`; its `act` stays linear. It is the
 * geometry of int8 windows too. MN_ERR_LIMIT when the coordinates and steps that the kernels form
 * do not fit their int32_t. */
mn_status mn__window_find(const mn_node *node,
                          const mn__place *from,
                          const mn__place *to,
                          mn_f32_window *ret_window,
                          mn_error *err);

/* The same geometry for the int8 kernels; grids and clamps stay zero. */
mn_s8_window mn__window_s8(const mn_f32_window *window);

/* Appends a declaration of `<type> w` and the assignments of its geometry. */
void mn__window_write(const mn_f32_window *window, const char *type, mn_buffer *out);

#endif
