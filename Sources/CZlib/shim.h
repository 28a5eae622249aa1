// zlib: raw inflate for deflated npz members.
#include <zlib.h>
