/* Checks on lists of tensors that several tests share. */
#ifndef MN_TESTS_TENSORS_CHECK_H
#define MN_TESTS_TENSORS_CHECK_H

#include "test.h"

#include "memnet/tensors.h"

/* Names, types and bytes agree, in order; the trailing dims are 1. */
static void assert_tensors_equal(const mn_tensors *a, const mn_tensors *b)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const mn_tensor *x = &a->items[i];
        const mn_tensor *y = &b->items[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->rank, y->rank);
        for (uint32_t k = 0; k < 4; k++)
            assert_int_equal(x->dims[k], y->dims[k]);
        for (uint32_t k = x->rank; k < 4; k++)
            assert_int_equal(x->dims[k], 1);
        assert_memory_equal(x->data, y->data, mn_tensor_elements(x) * mn_dtype_bytes(x->dtype));
    }
}

#endif
