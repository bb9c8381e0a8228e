/**
 * What stands beside the weights on a server.
 * @module
 */

/** `README.md` of a server's directory. */
export const SERVER_README = `# Weights of one of two servers

Whole-number weights of a model's linear layers (\`weights.safetensors\`) and their sizes (\`shares.json\`), for a server of
two-server inference. The other server, of another operator, holds the same files.

Both servers multiply shares of a client's numbers by these weights. Each share alone is uniformly random. Scales, biases,
embeddings, norms, tokenizer and everything that is not linear stay with the client and are not in these files. Whoever holds these
files knows the weights of the model that was prepared, rounded and each row up to its scale.
`;
