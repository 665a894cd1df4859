/* Safetensors: round trips, the exact bytes, and every way in which a file can be wrong. */
#include "test.h"

#include <sys/wait.h>

#include "alloc_failure.h"
#include "base/random.h"
#include "base/size.h"
#include "base/utf8.h"
#include "graph/safetensors.h"
#include "temporary.h"
#include "tensors_check.h"

#define F32_PAIR "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

/* ---- making lists and blocks --------------------------------------------------------------- */

static mn_tensors *new_list(void)
{
    mn_tensors *tensors = NULL;
    assert_int_equal(mn_tensors_create(&tensors, NULL), MN_OK);
    return tensors;
}

static void add(mn_tensors *tensors,
                const char *name,
                mn_dtype dtype,
                uint32_t rank,
                const uint32_t *dims,
                const void *numbers)
{
    mn_tensor *made = NULL;
    mn_error err;
    assert_ok(mn_tensors_add(tensors, name, dtype, rank, dims, &made, &err), &err);
    memcpy(made->data, numbers, mn_tensor_elements(made) * mn_dtype_bytes(dtype));
}

/* One tensor of each type, a scalar, an empty one, and a name that must be escaped. */
static mn_tensors *new_sample(void)
{
    mn_tensors *tensors = new_list();
    add(tensors, "bytes", MN_U8, 1, (uint32_t[]){3}, (uint8_t[]){0, 127, 255});
    add(tensors, "conv.weight", MN_F32, 4, (uint32_t[]){1, 2, 1, 2}, (float[]){0.5f, -1, 2, 1e10f});
    add(tensors, "scalar", MN_F32, 0, NULL, (float[]){-0.125f});
    add(tensors, "a \"\\\n\xc3\xa9", MN_I8, 2, (uint32_t[]){1, 2}, (int8_t[]){-128, 127});
    add(tensors, "empty", MN_I32, 2, (uint32_t[]){0, 7}, "");
    add(tensors, "bias", MN_I32, 1, (uint32_t[]){2}, (int32_t[]){INT32_MIN, INT32_MAX});
    return tensors;
}

static void new_sample_metadata(mn_metadata *metadata)
{
    mn_metadata_init(metadata);
    assert_int_equal(mn_metadata_add(metadata, "format", "pt", NULL), MN_OK);
    assert_int_equal(mn_metadata_add(metadata, "", "", NULL), MN_OK);
    assert_int_equal(mn_metadata_add(metadata, "k\t", "\x01 {\"\xe2\x82\xac\"}", NULL), MN_OK);
}

static void assert_metadata_equal(const mn_metadata *a, const mn_metadata *b)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        assert_string_equal(a->keys[i], b->keys[i]);
        assert_string_equal(a->values[i], b->values[i]);
    }
}

/* A block of just these bytes, so that the sanitizer sees every read behind its end. */
static char *exact_copy(const void *bytes, size_t count)
{
    char *copy = malloc(count == 0 ? 1 : count);
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    return copy;
}

/* Length, header text and `data_bytes` bytes of data; freed by the caller. */
static char *
new_block(const char *header, size_t header_bytes, size_t data_bytes, size_t *ret_count)
{
    size_t count = 8 + header_bytes + data_bytes;
    char *bytes = calloc(count, 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(unsigned char)((uint64_t)header_bytes >> (8 * i));
    memcpy(bytes + 8, header, header_bytes);
    *ret_count = count;
    return bytes;
}

/* Serialises and parses; everything must be the same, and the bytes too when done again. */
static void assert_round_trip(const mn_tensors *tensors, const mn_metadata *metadata)
{
    char *bytes = NULL;
    char *again = NULL;
    size_t count = 0;
    size_t again_count = 0;
    mn_tensors *back = NULL;
    mn_metadata back_metadata;
    mn_error err;
    assert_ok(mn_safetensors_serialise(tensors, metadata, &bytes, &count, &err), &err);
    char *exact = exact_copy(bytes, count);
    assert_ok(mn_safetensors_parse("block", exact, count, &back, &back_metadata, &err), &err);
    free(exact);
    assert_tensors_equal(tensors, back);
    assert_metadata_equal(metadata, &back_metadata);
    assert_ok(mn_safetensors_serialise(back, &back_metadata, &again, &again_count, &err), &err);
    assert_int_equal(count, again_count);
    assert_memory_equal(bytes, again, count);
    free(again);
    free(bytes);
    mn_metadata_done(&back_metadata);
    mn_tensors_free(back);
}

/* ---- what is well-formed ------------------------------------------------------------------- */

static void test_round_trip_sample(void **state)
{
    (void)state;
    mn_tensors *tensors = new_sample();
    mn_tensors *none = new_list();
    mn_metadata metadata;
    mn_metadata empty;
    mn_metadata_init(&empty);
    new_sample_metadata(&metadata);
    assert_round_trip(tensors, &metadata);
    assert_round_trip(tensors, &empty);
    assert_round_trip(none, &metadata);
    assert_round_trip(none, &empty);
    mn_metadata_done(&metadata);
    mn_tensors_free(none);
    mn_tensors_free(tensors);
}

static void random_text(mn_random *random, char text[32], uint32_t number)
{
    size_t length = mn_random_below(random, 20);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(1 + mn_random_below(random, 127));
    snprintf(text + length, 32 - length, "%u", number);
}

static void test_round_trip_random(void **state)
{
    (void)state;
    mn_random random = mn_random_make(2, 0);
    for (int round = 0; round < 200; round++) {
        mn_tensors *tensors = new_list();
        mn_metadata metadata;
        char text[32];
        char key[32];
        mn_metadata_init(&metadata);
        uint32_t count = mn_random_below(&random, 12);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t dims[4];
            mn_tensor *made = NULL;
            for (int k = 0; k < 4; k++)
                dims[k] = mn_random_below(&random, 5);
            random_text(&random, text, i);
            mn_dtype dtype = (mn_dtype)mn_random_below(&random, 4);
            uint32_t rank = mn_random_below(&random, 5);
            assert_int_equal(mn_tensors_add(tensors, text, dtype, rank, dims, &made, NULL), MN_OK);
            unsigned char *bytes = made->data;
            for (size_t k = 0; k < mn_tensor_elements(made) * mn_dtype_bytes(dtype); k++)
                bytes[k] = (unsigned char)mn_random_below(&random, 256);
        }
        count = mn_random_below(&random, 5);
        for (uint32_t i = 0; i < count; i++) {
            random_text(&random, key, i);
            random_text(&random, text, i);
            assert_int_equal(mn_metadata_add(&metadata, key, text, NULL), MN_OK);
        }
        assert_round_trip(tensors, &metadata);
        mn_metadata_done(&metadata);
        mn_tensors_free(tensors);
    }
}

/* The exact file, by hand from the format's description: wide elements first in the data. */
static void test_golden_bytes(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"k\":\"v\"},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},"
        "\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";
    static const unsigned char data[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 1, 2, 3};
    mn_tensors *tensors = new_list();
    mn_metadata metadata;
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    add(tensors, "b", MN_U8, 1, (uint32_t[]){3}, (uint8_t[]){1, 2, 3});
    add(tensors, "w", MN_F32, 2, (uint32_t[]){1, 2}, (float[]){1, -2});
    mn_metadata_init(&metadata);
    assert_ok(mn_metadata_add(&metadata, "k", "v", &err), &err);
    assert_ok(mn_safetensors_serialise(tensors, &metadata, &bytes, &count, &err), &err);
    size_t text = sizeof header - 1;
    size_t start = (8 + text + 63) / 64 * 64;
    assert_int_equal(count, start + sizeof data);
    unsigned char length[8] = {(unsigned char)(start - 8)};
    assert_memory_equal(bytes, length, 8);
    assert_memory_equal(bytes + 8, header, text);
    for (size_t i = 8 + text; i < start; i++)
        assert_int_equal(bytes[i], ' ');
    assert_memory_equal(bytes + start, data, sizeof data);
    free(bytes);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
}

/* Files of others: data in another order than the header, spaces, scalars, empty tensors. */
static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        uint32_t tensors;
        uint32_t metadata;
    } cases[] = {
        {"{}", 0, 0, 0},
        {"{}      \n", 0, 0, 0},
        {"{\"__metadata__\":{}}", 0, 0, 0},
        {"{\"__metadata__\":{\"a\":\"\"}}", 0, 0, 1},
        {"{\"a\":" F32_PAIR "}", 8, 1, 0},
        {"{ \"a\" : " F32_PAIR " , \"__metadata__\" : { \"b\" : \"c\" } } ", 8, 1, 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]},\"b\":" F32_PAIR "}",
         9,
         2,
         0},
        {"{\"a\":{\"data_offsets\":[0,4],\"shape\":[],\"dtype\":\"I32\"}}", 4, 1, 0},
        {"{\"a\":{\"dtype\":\"I8\",\"shape\":[0,4294967295],\"data_offsets\":[0,0]}}", 0, 1, 0},
        {"{\"z\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[8,8]},\"b\":" F32_PAIR
         ",\"y\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
         8,
         3,
         0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count = 0;
        char *bytes =
            new_block(cases[i].header, strlen(cases[i].header), cases[i].data_bytes, &count);
        mn_tensors *tensors = NULL;
        mn_metadata metadata;
        mn_error err;
        assert_ok(mn_safetensors_parse("block", bytes, count, &tensors, &metadata, &err), &err);
        assert_int_equal(tensors->count, cases[i].tensors);
        assert_int_equal(metadata.count, cases[i].metadata);
        assert_round_trip(tensors, &metadata);
        mn_metadata_done(&metadata);
        mn_tensors_free(tensors);
        tensors = NULL;
        assert_ok(mn_safetensors_parse("block", bytes, count, &tensors, NULL, &err), &err);
        mn_tensors_free(tensors);
        free(bytes);
    }
}

/* ---- what is malformed --------------------------------------------------------------------- */

static const struct {
    const char *header;
    size_t data_bytes;
    mn_status status;
    const char *message;
} malformed[] = {
    /* no JSON object */
    {"", 0, MN_ERR_FORMAT, "block: header does not begin with '{'"},
    {"[]", 0, MN_ERR_FORMAT, "header does not begin with '{'"},
    {" {}", 0, MN_ERR_FORMAT, "header does not begin with '{'"},
    {"{", 0, MN_ERR_FORMAT, "block: header:1:"},
    {"{} x", 0, MN_ERR_FORMAT, "block: header:1:"},
    {"{}{}", 0, MN_ERR_FORMAT, "block: header:1:"},
    {"{\"a\xff\":1}", 0, MN_ERR_FORMAT, "header:1:"},
    {"{\"a\\u0000\":1}", 0, MN_ERR_FORMAT, "header:1:"},
    {"{\"a\":99999999999999999999}", 0, MN_ERR_FORMAT, "header:1:"},
    /* duplicates */
    {"{\"a\":" F32_PAIR ",\"a\":" F32_PAIR "}", 8, MN_ERR_FORMAT, "duplicate"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, MN_ERR_FORMAT, "duplicate"},
    {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, MN_ERR_FORMAT, "duplicate"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0, MN_ERR_FORMAT, "duplicate"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, MN_ERR_FORMAT, "block: '__metadata__': expected an object"},
    {"{\"__metadata__\":null}", 0, MN_ERR_FORMAT, "'__metadata__': expected an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, MN_ERR_FORMAT, "metadata 'k': expected a string"},
    {"{\"__metadata__\":{\"k\":{}}}", 0, MN_ERR_FORMAT, "metadata 'k': expected a string"},
    /* shape of an entry */
    {"{\"\":" F32_PAIR "}", 8, MN_ERR_FORMAT, "a tensor has no name"},
    {"{\"a\":1}", 0, MN_ERR_FORMAT, "block: tensor 'a': expected an object"},
    {"{\"a\":{}}", 0, MN_ERR_FORMAT, "tensor 'a': 'dtype': expected a string, found nothing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}",
     8,
     MN_ERR_FORMAT,
     "tensor 'a': unknown key 'x'"},
    /* dtype */
    {"{\"a\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_FORMAT,
     "'dtype': expected a string, found an integer"},
    {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_UNSUPPORTED,
     "tensor 'a': dtype 'F16', expected F32, I32, I8 or U8"},
    {"{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_UNSUPPORTED,
     "dtype 'f32'"},
    /* shape */
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_FORMAT,
     "'shape': expected an array, found nothing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}",
     8,
     MN_ERR_FORMAT,
     "'shape': expected an array, found an integer"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,-1],\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_FORMAT,
     "tensor 'a': shape[1]: -1 out of range"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_FORMAT,
     "shape[0]: expected an integer"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}",
     4,
     MN_ERR_FORMAT,
     "shape[0]: expected an integer"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296],\"data_offsets\":[0,0]}}",
     0,
     MN_ERR_FORMAT,
     "shape[0]: 4294967296 out of range [0, 4294967295]"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,1]}}",
     1,
     MN_ERR_UNSUPPORTED,
     "tensor 'a': rank 5, expected at most 4"},
    /* sizes that wrap to 0 and to 8 */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536,65536],\"data_offsets\":[0,0]}}",
     0,
     MN_ERR_FORMAT,
     "do not hold its dtype and shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483649,2,1],\"data_offsets\":[0,8]}}",
     8,
     MN_ERR_FORMAT,
     "do not hold its dtype and shape"},
    /* offsets */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",
     4,
     MN_ERR_FORMAT,
     "'data_offsets': expected an array, found nothing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}",
     4,
     MN_ERR_FORMAT,
     "'data_offsets': 1 elements, expected 2 to 2"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}",
     4,
     MN_ERR_FORMAT,
     "'data_offsets': 3 elements"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,null]}}",
     4,
     MN_ERR_FORMAT,
     "data_offsets[1]: expected an integer"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}",
     4,
     MN_ERR_FORMAT,
     "data_offsets[0]: -4 out of range [0, 4]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     7,
     MN_ERR_FORMAT,
     "data_offsets[1]: 8 out of range [0, 7]"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
     4,
     MN_ERR_FORMAT,
     "tensor 'a': data_offsets [4, 0] do not hold its dtype and shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}",
     8,
     MN_ERR_FORMAT,
     "data_offsets [0, 8] do not hold its dtype and shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
     8,
     MN_ERR_FORMAT,
     "data_offsets [0, 8] do not hold its dtype and shape"},
    /* 4 * (2^62 - 1) bytes, which is 0 - 4 for who subtracts without looking */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483647,2147483649],\"data_offsets\":[4,0]}}",
     4,
     MN_ERR_FORMAT,
     "data_offsets [4, 0] do not hold its dtype and shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,1]}}",
     1,
     MN_ERR_FORMAT,
     "out of range"},
    /* holes, overlaps, data that nobody owns */
    {"{}", 1, MN_ERR_FORMAT, "block: 1 bytes of data, but the tensors end at 0"},
    {"{\"a\":" F32_PAIR "}", 9, MN_ERR_FORMAT, "9 bytes of data, but the tensors end at 8"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
     2,
     MN_ERR_FORMAT,
     "tensor 'a': data begin at 1, expected 0: a hole"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9,10]},\"b\":" F32_PAIR "}",
     10,
     MN_ERR_FORMAT,
     "tensor 'a': data begin at 9, expected 8: a hole"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[7,9]},\"b\":" F32_PAIR "}",
     9,
     MN_ERR_FORMAT,
     "tensor 'a': data begin at 7, expected 8: an overlap"},
    {"{\"a\":" F32_PAIR ",\"b\":" F32_PAIR "}",
     8,
     MN_ERR_FORMAT,
     "tensor 'b': data begin at 0, expected 8: an overlap"},
    {"{\"a\":" F32_PAIR ",\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}",
     8,
     MN_ERR_FORMAT,
     "tensor 'b': data begin at 4, expected 8: an overlap"},
};

static void assert_refused(const char *bytes, size_t count, mn_status status, const char *message)
{
    mn_tensors *tensors = NULL;
    mn_metadata metadata = {.count = 77};
    mn_error err;
    char *exact = exact_copy(bytes, count);
    alloc_fail_at(0);
    assert_error(mn_safetensors_parse("block", exact, count, &tensors, &metadata, &err),
                 status,
                 &err,
                 message);
    if (count <= 100)
        assert_true(alloc_state.bytes <= 4096);
    assert_true(alloc_state.bytes <= 4096 + 256 * count);
    assert_null(tensors);
    assert_int_equal(metadata.count, 77);
    free(exact);
}

static void test_malformed_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        size_t count = 0;
        char *bytes = new_block(
            malformed[i].header, strlen(malformed[i].header), malformed[i].data_bytes, &count);
        assert_refused(bytes, count, malformed[i].status, malformed[i].message);
        free(bytes);
    }
}

static void test_deep_nesting(void **state)
{
    (void)state;
    char header[6000] = "{\"a\":";
    memset(header + 5, '[', sizeof header - 5);
    size_t count = 0;
    char *bytes = new_block(header, sizeof header, 0, &count);
    assert_refused(bytes, count, MN_ERR_FORMAT, "header:1:");
    free(bytes);
}

static void test_header_length(void **state)
{
    (void)state;
    char block[100] = {0};
    for (size_t count = 0; count < 8; count++)
        assert_refused(block, count, MN_ERR_FORMAT, "expected at least 8 for the header length");
    memcpy(block + 8, "{}", 2);
    block[0] = 3;
    assert_refused(block, 10, MN_ERR_FORMAT, "header of 3 bytes, but only 2 follow its length");
    memset(block, 0xff, 8);
    assert_refused(
        block, 100, MN_ERR_FORMAT, "header of 18446744073709551615 bytes, expected at most");
    memset(block, 0, 8);
    block[7] = 1; /* would wrap in an addition of 32 bits */
    assert_refused(block, 100, MN_ERR_FORMAT, "header of 72057594037927936 bytes");
}

/* A header of just the largest size is read; one byte more is not, whatever follows. */
static void test_header_limit(void **state)
{
    (void)state;
    size_t largest = MN_SAFETENSORS_HEADER_MAX;
    char *header = malloc(largest + 1);
    assert_non_null(header);
    memset(header, ' ', largest + 1);
    memcpy(header, "{}", 2);
    size_t count = 0;
    mn_tensors *tensors = NULL;
    mn_error err;
    char *bytes = new_block(header, largest, 0, &count);
    assert_ok(mn_safetensors_parse("block", bytes, count, &tensors, NULL, &err), &err);
    mn_tensors_free(tensors);
    free(bytes);
    bytes = new_block(header, largest + 1, 0, &count);
    assert_refused(
        bytes, count, MN_ERR_FORMAT, "header of 16777217 bytes, expected at most 16777216");
    free(bytes);
    free(header);
}

/* A damaged file is either refused or read as another sound file; the sanitizers watch. */
static void try_parse(const char *bytes, size_t count, uint32_t *accepted)
{
    mn_tensors *tensors = NULL;
    mn_metadata metadata;
    char *exact = exact_copy(bytes, count);
    mn_error err = {MN_OK, ""};
    mn_status status = mn_safetensors_parse("block", exact, count, &tensors, &metadata, &err);
    free(exact);
    if (status == MN_OK) {
        assert_round_trip(tensors, &metadata);
        mn_metadata_done(&metadata);
        mn_tensors_free(tensors);
        (*accepted)++;
        return;
    }
    assert_int_equal(status, err.status);
    assert_int_equal(strncmp(err.message, "block: ", 7), 0);
    assert_null(tensors);
}

static void test_every_bit_and_every_cut(void **state)
{
    (void)state;
    mn_tensors *tensors = new_sample();
    mn_metadata metadata;
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    new_sample_metadata(&metadata);
    assert_ok(mn_safetensors_serialise(tensors, &metadata, &bytes, &count, &err), &err);
    uint32_t accepted = 0;
    for (size_t cut = 0; cut < count; cut++)
        try_parse(bytes, cut, &accepted);
    assert_int_equal(accepted, 0); /* the data end with the file */
    for (size_t bit = 0; bit < count * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        try_parse(bytes, count, &accepted);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(accepted > 8 * 33); /* at least all of the data, which may hold anything */
    free(bytes);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void test_utf8_against_jansson(void **state)
{
    (void)state;
    static const unsigned char edges[] = {
        0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    const size_t n = sizeof edges;
    for (unsigned a = 1; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (size_t c = 0; c < n * n; c++) {
                char text[] = {(char)a, (char)b, (char)edges[c / n], (char)edges[c % n], '\0'};
                json_t *value = c == 0 || a >= 0xe0 ? json_string(text) : NULL;
                if (c == 0 || a >= 0xe0)
                    assert_int_equal(mn_text_is_utf8(text), value != NULL);
                json_decref(value);
            }
        }
    }
}

static void test_serialise_refuses(void **state)
{
    (void)state;
    mn_tensors *tensors = new_list();
    mn_metadata metadata;
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    add(tensors, "__metadata__", MN_I8, 0, NULL, "");
    assert_error(mn_safetensors_serialise(tensors, NULL, &bytes, &count, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 0: '__metadata__' is a reserved name");
    strcpy(tensors->items[0].name, "a\xc3");
    assert_error(mn_safetensors_serialise(tensors, NULL, &bytes, &count, &err),
                 MN_ERR_ARG,
                 &err,
                 "tensor 0: its name is not UTF-8");
    strcpy(tensors->items[0].name, "a");
    mn_metadata_init(&metadata);
    assert_ok(mn_metadata_add(&metadata, "key", "\xff", &err), &err);
    assert_error(mn_safetensors_serialise(tensors, &metadata, &bytes, &count, &err),
                 MN_ERR_ARG,
                 &err,
                 "metadata 'key': its value is not UTF-8");
    strcpy(metadata.keys[0], "k\xc0");
    assert_error(mn_safetensors_serialise(tensors, &metadata, &bytes, &count, &err),
                 MN_ERR_ARG,
                 &err,
                 "metadata 0: its key is not UTF-8");
    mn_metadata_done(&metadata);
    assert_null(bytes);
    mn_tensors_free(tensors);
}

/* What could not be read again is not written. */
static void test_serialise_header_limit(void **state)
{
    (void)state;
    mn_tensors *tensors = new_list();
    mn_metadata metadata;
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    char *value = malloc(MN_SAFETENSORS_HEADER_MAX + 1);
    assert_non_null(value);
    memset(value, 'x', MN_SAFETENSORS_HEADER_MAX);
    value[MN_SAFETENSORS_HEADER_MAX] = '\0';
    mn_metadata_init(&metadata);
    assert_ok(mn_metadata_add(&metadata, "k", value, &err), &err);
    free(value);
    assert_error(mn_safetensors_serialise(tensors, &metadata, &bytes, &count, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "expected at most 16777216");
    assert_null(bytes);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
}

static void test_metadata(void **state)
{
    (void)state;
    mn_metadata metadata;
    mn_error err;
    char key[16];
    mn_metadata_init(&metadata);
    assert_null(mn_metadata_get(&metadata, "k0"));
    for (unsigned i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "k%u", i);
        assert_ok(mn_metadata_add(&metadata, key, key + 1, &err), &err);
    }
    assert_string_equal(mn_metadata_get(&metadata, "k0"), "0");
    assert_string_equal(mn_metadata_get(&metadata, "k39"), "39");
    assert_null(mn_metadata_get(&metadata, "k40"));
    assert_error(mn_metadata_add(&metadata, "k7", "x", &err),
                 MN_ERR_ARG,
                 &err,
                 "metadata 'k7': the key exists already");
    assert_int_equal(metadata.count, 40);
    mn_metadata_done(&metadata);
    assert_int_equal(metadata.count, 0);
    mn_metadata_done(&metadata);
}

/* ---- files --------------------------------------------------------------------------------- */

static void test_save_and_load(void **state)
{
    char *path = mn_path_join(*state, "a.safetensors");
    mn_tensors *tensors = new_sample();
    mn_tensors *back = NULL;
    mn_metadata metadata;
    mn_metadata back_metadata;
    mn_error err;
    new_sample_metadata(&metadata);
    assert_error(mn_safetensors_load(path, &back, &back_metadata, &err), MN_ERR_IO, &err, path);
    assert_ok(mn_safetensors_save(path, tensors, &metadata, &err), &err);
    assert_ok(mn_safetensors_load(path, &back, &back_metadata, &err), &err);
    assert_tensors_equal(tensors, back);
    assert_metadata_equal(&metadata, &back_metadata);
    mn_metadata_done(&back_metadata);
    mn_tensors_free(back);
    back = NULL;
    assert_ok(mn_file_write(path, "garbage", 7, &err), &err);
    assert_error(mn_safetensors_load(path, &back, &back_metadata, &err),
                 MN_ERR_FORMAT,
                 &err,
                 "a.safetensors: 7 bytes, expected at least 8");
    assert_null(back);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
    free(path);
}

static void test_full_disk(void **state)
{
    char *path = mn_path_join(*state, "a.safetensors");
    mn_tensors *small = new_sample();
    mn_tensors *large = new_list();
    mn_tensors *back = NULL;
    mn_error err;
    assert_ok(mn_tensors_add(large, "w", MN_F32, 1, (uint32_t[]){50000}, NULL, &err), &err);
    assert_ok(mn_safetensors_save(path, small, NULL, &err), &err);
    file_limit_set(100000);
    mn_status status = mn_safetensors_save(path, large, NULL, &err);
    file_limit_lift();
    assert_int_equal(status, MN_ERR_IO);
    assert_non_null(strstr(err.message, "a.safetensors: File too large"));
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(count_files(*state), 1); /* no temporary is left */
    assert_ok(mn_safetensors_load(path, &back, NULL, &err), &err);
    assert_tensors_equal(small, back);
    mn_tensors_free(back);
    mn_tensors_free(large);
    mn_tensors_free(small);
    free(path);
}

/* Skipped without Python or without MEMNET_TESTS, the folder of the tests. */
static void test_python_reads_it(void **state)
{
    static const char expected[] = "metadata \"format\" \"pt\"\n"
                                   "metadata \"\" \"\"\n"
                                   "metadata \"k\\t\" \"\\u0001 {\\\"\\u20ac\\\"}\"\n"
                                   "\"bytes\" U8 [3] 0 127 255\n"
                                   "\"conv.weight\" F32 [1, 2, 1, 2] 0.5 -1.0 2.0 10000000000.0\n"
                                   "\"scalar\" F32 [] -0.125\n"
                                   "\"a \\\"\\\\\\n\\u00e9\" I8 [1, 2] -128 127\n"
                                   "\"empty\" I32 [0, 7]\n"
                                   "\"bias\" I32 [2] -2147483648 2147483647\n";
    const char *tests = getenv("MEMNET_TESTS");
    if (tests == NULL)
        skip();
    char *path = mn_path_join(*state, "a.safetensors");
    mn_tensors *tensors = new_sample();
    mn_metadata metadata;
    char command[1024];
    char output[2048] = "";
    mn_error err;
    new_sample_metadata(&metadata);
    assert_ok(mn_safetensors_save(path, tensors, &metadata, &err), &err);
    int length = snprintf(
        command, sizeof command, "python3 '%s/read_safetensors.py' '%s' 2>&1", tests, path);
    assert_in_range(length, 1, sizeof command - 1);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int result = pclose(pipe);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
    free(path);
    if (WIFEXITED(result) && WEXITSTATUS(result) == 127)
        skip(); /* the shell has found no python3 */
    assert_string_equal(output, expected);
    assert_int_equal(result, 0);
}

/* ---- memory -------------------------------------------------------------------------------- */

/* Every allocation fails once; nothing leaks and nothing is given out. */
static void test_out_of_memory(void **state)
{
    (void)state;
    mn_tensors *tensors = new_sample();
    mn_tensors *back = NULL;
    mn_metadata metadata;
    mn_metadata back_metadata;
    char *bytes = NULL;
    size_t count = 0;
    size_t n = 0;
    mn_status status;
    new_sample_metadata(&metadata);
    do {
        assert_null(bytes);
        alloc_fail_at(++n);
        status = mn_safetensors_serialise(tensors, &metadata, &bytes, &count, NULL);
    } while (alloc_has_failed() && status == MN_ERR_NOMEM);
    assert_int_equal(status, MN_OK);
    assert_true(n > 4);
    n = 0;
    do {
        assert_null(back);
        alloc_fail_at(++n);
        status = mn_safetensors_parse("block", bytes, count, &back, &back_metadata, NULL);
    } while (alloc_has_failed() && status == MN_ERR_NOMEM);
    assert_int_equal(status, MN_OK);
    assert_true(n > 20);
    assert_tensors_equal(tensors, back);
    mn_metadata_done(&back_metadata);
    mn_tensors_free(back);
    free(bytes);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_sample),
        cmocka_unit_test(test_round_trip_random),
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_every_bit_and_every_cut),
        cmocka_unit_test(test_utf8_against_jansson),
        cmocka_unit_test(test_serialise_refuses),
        cmocka_unit_test(test_serialise_header_limit),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test_setup_teardown(test_save_and_load, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_python_reads_it, temporary_setup, temporary_teardown),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}
