// openapi.yaml inside the program, so that the server that answers for it always has it.
#include "COpenAPI.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

const unsigned char openapi_document[] = {
#embed "../../openapi.yaml"
};
const unsigned long openapi_document_byte_count = sizeof openapi_document;
