// xxHash: XXH3 64 bit for ids, 128 bit for the content digest of a batch.
#include <xxhash.h>
