/*
 * Runs an exported network on the images that were compiled in (images.h, generated) and prints
 * every byte of every output: one line an image, in hexadecimal, as it lies in memory. The same
 * file runs on boards and on this machine.
 */
#include "probe.h"

#include "images.h"
#include "model.h"

enum { VALUES = MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH * MODEL_INPUT_CHANNELS };

void probe_write_hex(uint32_t value, int digits)
{
    char text[9];
    int i;
    for (i = 0; i < digits; i++)
        text[i] = "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 15u];
    text[digits] = '\0';
    probe_write(text);
}

#if defined(MODEL_INT8)
static void feed(int i, unsigned char pixel)
{
    memnet_input()[i] = memnet_from_pixel(pixel);
}
#else
static void feed(int i, unsigned char pixel)
{
    memnet_input()[i] = ((float)pixel - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE;
}
#endif

int main(void)
{
    int image, i;
    for (image = 0; image < IMAGES; image++) {
        const unsigned char *bytes;
        for (i = 0; i < VALUES; i++)
            feed(i, images[image][i]);
        memnet_invoke();
        bytes = (const unsigned char *)memnet_output();
        for (i = 0; i < (int)(MODEL_CLASSES * sizeof *memnet_output()); i++)
            probe_write_hex(bytes[i], 2);
        probe_write("\n");
    }
    return 0;
}
