/* What the program calls: one struct in, a number out. ``native/__init__.py`` has the same structs and number. */
#ifndef NATIVE_INTERFACE_H
#define NATIVE_INTERFACE_H

#include <stddef.h>
#include <stdint.h>

/* Raised whenever a struct, a flag or the meaning of a function changes: a library with another number is not used. */
enum { NATIVE_ABI = 1 };

/* What of a progressive file is left undecoded; and GREY: ``pixels`` has room for one component, not three. */
enum { WITHOUT_LAST_LUMA_REFINEMENT = 1, WITHOUT_REFINEMENTS = 2, WITHOUT_HIGH_LUMA = 4, GREY = 8 };

/* A JPEG of ``width`` x ``height`` pixels to be decoded straight to ``target_width`` x ``target_height``, none larger.
   ``luma_reduction`` and ``colour_reduction`` (of colours of a quarter of the samples): 1, 2, 4 or 8, the mean of so
   many samples a side is decoded. */
typedef struct {
    const uint8_t *body;
    size_t length;
    uint8_t *pixels;       /* room for the result: rows of BGR, or of grey */
    int32_t width, height;
    int32_t target_width, target_height;
    int32_t luma_reduction, colour_reduction;
    int32_t flags;
} jpeg_request;

/* Inflated rows of a PNG, each a filter's number and ``width`` pixels of ``channels`` bytes (1: grey, 3: RGB,
   4: RGBA), to be made pixels. */
typedef struct {
    const uint8_t *rows;
    uint8_t *pixels;       /* room for the result: grey, BGR or BGRA */
    size_t width, height;
    int32_t channels;
} png_request;

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int native_abi(void);

/* Returns an ``outcome`` (types.h); what ``pixels`` holds counts for 0 only. Keeps nothing: any thread may call it.
   Chooses from the two below by the processor; from outside, only tests call those. */
EXPORTED int shrink_jpeg(const jpeg_request *request);
EXPORTED int shrink_any(const jpeg_request *request);
EXPORTED int shrink_avx2(const jpeg_request *request);

/* Returns 0, or 1 for a filter or a number of channels that there is none of. */
EXPORTED int unfilter_png(const png_request *request);

#endif
