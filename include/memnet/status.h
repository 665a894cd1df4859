/**
 * Status codes and error messages: how every function of the library says what went wrong.
 *
 * A function that can fail returns mn_status and takes a caller-owned mn_error as its last,
 * nullable argument. The library never prints, never logs and never exits.
 */
#ifndef MEMNET_STATUS_H
#define MEMNET_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MN_API __attribute__((visibility("default")))
#define MN_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define MN_API
#define MN_PRINTF(at, first)
#endif

/* The one list of statuses: feeds the enum here and the strings in status.c. */
#define MN_STATUS_LIST(X)                                                                          \
    X(MN_OK, "ok")                                                                                 \
    X(MN_ERR_ARG, "invalid argument")                                                              \
    X(MN_ERR_NOMEM, "out of memory")                                                               \
    X(MN_ERR_IO, "input/output error")                                                             \
    X(MN_ERR_FORMAT, "malformed input")                                                            \
    X(MN_ERR_LIMIT, "limit exceeded")                                                              \
    X(MN_ERR_MISMATCH, "does not agree")                                                           \
    X(MN_ERR_UNSUPPORTED, "not supported")                                                         \
    X(MN_ERR_DB, "database error")                                                                 \
    X(MN_ERR_WORKER, "worker failed")                                                              \
    X(MN_ERR_INTERNAL, "internal error")

typedef enum mn_status {
#define MN__STATUS_ENUM(name, text) name,
    MN_STATUS_LIST(MN__STATUS_ENUM)
#undef MN__STATUS_ENUM
} mn_status;

#define MN_ERROR_MESSAGE_BYTES 512

/** Filled on failure only; `message` is one line without a newline. */
typedef struct mn_error {
    mn_status status;
    char message[MN_ERROR_MESSAGE_BYTES];
} mn_error;

/** Returns a static string such as "out of memory"; "unknown status" for any other value. */
MN_API const char *mn_status_string(mn_status status);

/**
 * Fills `err` (unless NULL) with a formatted line and returns `status`, so that a failing function
 * can end with `return mn_error_set(err, MN_ERR_FORMAT, "cell %u: ...", k)`. Control characters
 * that came in through arguments are replaced by '?', so that a message stays one line.
 */
MN_API mn_status mn_error_set(mn_error *err, mn_status status, const char *format, ...)
    MN_PRINTF(3, 4);

/** Puts "prefix: " before the message that `err` holds (unless NULL); returns err's status. */
MN_API mn_status mn_error_prefix(mn_error *err, mn_status status, const char *format, ...)
    MN_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
