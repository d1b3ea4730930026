// One kernel for each family of instructions that the shipped kernels do not use.
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <mma.h>
extern "C" __global__ void half_chain(__half2* p, int n){ __half2 a[16]; for(int i=0;i<16;i++) a[i]=p[threadIdx.x*16+i]; __half2 b=p[n],c=p[n+1];
 #pragma unroll 4
 for(int k=0;k<n;k++){
 #pragma unroll
 for(int i=0;i<16;i++) a[i]=__hfma2(a[i],b,c); }
 for(int i=0;i<16;i++) p[threadIdx.x*16+i]=a[i]; }
extern "C" __global__ void bf_chain(__nv_bfloat162* p, int n){ __nv_bfloat162 a[16]; for(int i=0;i<16;i++) a[i]=p[threadIdx.x*16+i]; __nv_bfloat162 b=p[n],c=p[n+1];
 #pragma unroll 4
 for(int k=0;k<n;k++){
 #pragma unroll
 for(int i=0;i<16;i++) a[i]=__hfma2(a[i],b,c); }
 for(int i=0;i<16;i++) p[threadIdx.x*16+i]=a[i]; }
extern "C" __global__ void half_ops(__half2* p, int n){ __half2 a[16]; for(int i=0;i<16;i++) a[i]=p[threadIdx.x*16+i]; __half2 b=p[n],c=p[n+1];
 for(int k=0;k<n;k++){
 #pragma unroll
 for(int i=0;i<16;i++) a[i]=__hmax2(__hadd2(a[i],b),__hmul2(a[i],c)); }
 for(int i=0;i<16;i++) p[threadIdx.x*16+i]=a[i]; }
extern "C" __global__ void doubles(double* p, long long* q, int n){ double a[8]; for(int i=0;i<8;i++) a[i]=p[threadIdx.x*8+i]; double b=p[n],c=p[n+1];
 for(int k=0;k<n;k++){
 #pragma unroll
 for(int i=0;i<8;i++) a[i]=fmax(a[i]*b+c,a[i]-c); if(a[0]<a[1]) a[2]=sqrt(a[2])/a[3]; a[4]=rint(a[4]); q[k]=(long long)a[5]; a[6]+=(double)q[k+1]; a[7]+=(float)a[6]; a[1]+=(double)(unsigned long long)q[k+3];}
 for(int i=0;i<8;i++) p[threadIdx.x*8+i]=a[i]; q[5]=(unsigned long long)a[3]; ((float*)p)[n]=(float)q[9]; q[7]=(long long)((float*)p)[n+5]; ((unsigned*)q)[3]=(unsigned)a[2]; p[77]=((int*)q)[99];}
extern "C" __global__ void bits(unsigned* p, int n){ unsigned a=p[threadIdx.x]; unsigned s=0; s+=__popc(a)+__clz(a)+__ffs(a)+__brev(a); s+=__dp4a((int)a,(int)s,3); s+=__vabsdiffu4(a,s); s=__byte_perm(s,a,n); s+=__ballot_sync(~0u,s>3); s+=__any_sync(~0u,s==a); s+=__all_sync(~0u,s==a); s+=__match_any_sync(~0u,s); int pr; s+=__match_all_sync(~0u,s,&pr); s+=pr; s+=__reduce_add_sync(~0u,s); s+=__reduce_max_sync(~0u,s);
 s+=clock(); s+=(unsigned)clock64(); s+=__funnelshift_l(a,s,n); s+= __shfl_up_sync(~0u,s,1)+__shfl_xor_sync(~0u,s,3); s+=__mulhi(s,a); s+=min(s,a); s=max((int)s,(int)a); s+=__sad(s,a,n); if(__syncthreads_or(s>5)) s+=__syncthreads_count(s>9); s+=__syncthreads_and(s>11);
 unsigned long long w=a; w*=s; w+=n; w>>=s; s+=w>>32; s+=(unsigned)(w/ (unsigned long long)n); s+=a/n+ (a%7); p[threadIdx.x]=s; p[threadIdx.x+5]=__vmaxs2(a,s)+__viaddmax_s32(a,s,n)+__vimax3_s32(a,s,n);}
extern "C" __global__ void atomics(unsigned* p, unsigned long long* q, float* f, double* d, __half2* h, int n){ __shared__ unsigned s[64]; __shared__ unsigned long long t[64]; s[threadIdx.x]=n; t[threadIdx.x]=n; __syncthreads();
 p[0]=atomicAdd(p+1,n); atomicAdd(p+2,n); q[0]=atomicAdd(q+1,5ull); atomicAdd(q+2,6ull); f[0]=atomicAdd(f+1,1.f); atomicAdd(f+2,1.f); d[0]=atomicAdd(d+1,1.); atomicAdd(d+2,1.); atomicAdd(h,h[5]);
 p[3]=atomicCAS(p+4,n,7); q[3]=atomicCAS(q+4,(unsigned long long)n,7ull); p[5]=atomicExch(p+6,n); q[5]=atomicExch(q+6,n); p[7]=atomicMax(p+8,n); q[7]=atomicMax(q+8,q[9]); p[9]=atomicInc(p+10,n);
 p[11]=atomicAdd(s+1,n); atomicAdd(s+2,n); q[11]=atomicAdd(t+1,5ull); p[12]=atomicCAS(s+4,n,7); q[12]=atomicCAS(t+4,(unsigned long long)n,7ull); p[13]=atomicExch(s+6,n); q[13]=atomicExch(t+6,n); p[14]=atomicMax(s+8,n); atomicAdd(f+n,1.f);float*g=n>5?f:(float*)s; atomicAdd(g,2.f); *g=3.f; f[9]=g[3]; __threadfence(); __threadfence_block(); __threadfence_system(); 
 uint4* v=(uint4*)p; uint4 x=v[5]; x.x+=n; v[6]=x; ((uint2*)p)[9]=((uint2*)p)[11]; ((short*)p)[3]=((short*)p)[9]; ((char*)p)[3]=((unsigned char*)p)[9]; double2 y=((double2*)d)[7]; y.x+=1; ((double2*)d)[8]=y;}
extern "C" __global__ void textures(cudaTextureObject_t t, cudaSurfaceObject_t s, float* p){ float4 v=tex2D<float4>(t,p[0],p[1]); p[2]=v.x+v.w; p[3]=tex1Dfetch<float>(t,(int)p[4]); p[5]=tex2DLod<float>(t,p[6],p[7],p[8]); surf2Dwrite(p[9],s,4,5); p[10]=surf2Dread<float>(s,8,9); float4 g=tex2Dgather<float4>(t,p[11],p[12]); p[13]=g.x+g.y+g.z+g.w;}
using namespace nvcuda;
extern "C" __global__ void matrices(signed char* a, int* c, double* d, float* f, __half* h){ 
 { wmma::fragment<wmma::matrix_a,16,16,16,signed char,wmma::row_major> x; wmma::fragment<wmma::matrix_b,16,16,16,signed char,wmma::col_major> y; wmma::fragment<wmma::accumulator,16,16,16,int> z; wmma::fill_fragment(z,0); wmma::load_matrix_sync(x,a,16); wmma::load_matrix_sync(y,a+256,16); wmma::mma_sync(z,x,y,z); wmma::store_matrix_sync(c,z,16,wmma::mem_row_major);}
 { wmma::fragment<wmma::matrix_a,8,8,4,double,wmma::row_major> x; wmma::fragment<wmma::matrix_b,8,8,4,double,wmma::col_major> y; wmma::fragment<wmma::accumulator,8,8,4,double> z; wmma::fill_fragment(z,0.); wmma::load_matrix_sync(x,d,16); wmma::load_matrix_sync(y,d+256,16); wmma::mma_sync(z,x,y,z); wmma::store_matrix_sync(d+512,z,16,wmma::mem_row_major);}
 { wmma::fragment<wmma::matrix_a,16,16,8,wmma::precision::tf32,wmma::row_major> x; wmma::fragment<wmma::matrix_b,16,16,8,wmma::precision::tf32,wmma::col_major> y; wmma::fragment<wmma::accumulator,16,16,8,float> z; wmma::fill_fragment(z,0.f); wmma::load_matrix_sync(x,f,16); wmma::load_matrix_sync(y,f+256,16); wmma::mma_sync(z,x,y,z); wmma::store_matrix_sync(f+512,z,16,wmma::mem_row_major);}
 { wmma::fragment<wmma::matrix_a,16,16,16,__half,wmma::row_major> x; wmma::fragment<wmma::matrix_b,16,16,16,__half,wmma::col_major> y; wmma::fragment<wmma::accumulator,16,16,16,__half> z; wmma::fill_fragment(z,__half(0.f)); wmma::load_matrix_sync(x,h,16); wmma::load_matrix_sync(y,h+256,16); wmma::mma_sync(z,x,y,z); wmma::store_matrix_sync(h+512,z,16,wmma::mem_row_major);}
}
__device__ __noinline__ float helper(float x, int n){ for(int i=0;i<n;i++) x=x*x+1.f; return x; }
extern "C" __global__ void calls(float* p, int n){ float x=p[threadIdx.x]; for(int i=0;i<n;i++){ x=helper(x,i); if(x>3.f) x=helper(x,n); } switch(n){case 0:x+=1;break;case 1:x*=p[1];break;case 2:x=sinf(x);break;case 3:x=expf(x);break;case 4:x-=p[7];break;case 5:x=p[(int)x];break;case 6:x=x/p[9];break;default:;} float (*fn)(float,int)=n>7?helper:(float(*)(float,int))((void**)p)[3]; x=fn(x,n); p[threadIdx.x]=x; if(n==77) __trap(); if(n==78) printf("%d",n); __nanosleep(n);}
